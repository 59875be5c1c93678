-- The conditions are those of kstatus: Reconciling and Stalled are there only while they are True, and never both.
-- No library is used: Argo CD gives scripts none but the basic one, table and a part of os.
local function health(status, message)
  if type(message) ~= "string" then
    message = ""
  end
  return { status = status, message = message }
end

local status = obj.status
if type(status) ~= "table" or type(status.conditions) ~= "table" then
  return health("Progressing", "Waiting for the operator")
end
if type(obj.metadata) == "table" and status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Waiting for the operator to see this version")
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  if type(condition) == "table" and type(condition.type) == "string" then
    conditions[condition.type] = condition
  end
end
local function isTrue(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local ready = conditions["Ready"]
if ready == nil then
  return health("Progressing", "Waiting for the operator")
end
if isTrue("Reconciling") then
  return health("Progressing", ready.message)
end
if isTrue("Stalled") then
  return health("Degraded", ready.message)
end
if isTrue("Ready") then
  return health("Healthy", ready.message)
end
return health("Progressing", ready.message)
