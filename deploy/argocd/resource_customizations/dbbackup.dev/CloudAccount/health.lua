-- The conditions are those of kstatus: Reconciling and Stalled are there only while they are True, and never both.
-- No library is used: Argo CD gives scripts none but the basic one, table and a part of os.
local function health(status, message)
  if type(message) ~= "string" then
    message = ""
  end
  return { status = status, message = message }
end

local status, metadata = obj.status, obj.metadata
if type(status) ~= "table" or type(status.conditions) ~= "table" then
  return health("Progressing", "Waiting for the operator")
end
if type(metadata) ~= "table" or metadata.generation == nil or status.observedGeneration ~= metadata.generation then
  return health("Progressing", "Waiting for the operator to see this version")
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  if type(condition) == "table" and type(condition.type) == "string" then
    conditions[condition.type] = condition
  end
end
-- The first that is True counts.
for _, verdict in ipairs({ { "Reconciling", "Progressing" }, { "Stalled", "Degraded" }, { "Ready", "Healthy" } }) do
  local condition = conditions[verdict[1]]
  if condition ~= nil and condition.status == "True" then
    return health(verdict[2], condition.message)
  end
end
if conditions["Ready"] ~= nil then
  return health("Progressing", conditions["Ready"].message)
end
return health("Progressing", "Waiting for the operator")
