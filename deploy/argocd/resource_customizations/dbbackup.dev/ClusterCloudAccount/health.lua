-- The conditions are those of kstatus: Reconciling and Stalled are there only while they are True, and never both.
-- No library is used: Argo CD gives scripts none but the basic one, table and a part of os.
local function health(status, message)
  if type(message) ~= "string" then
    message = ""
  end
  return { status = status, message = message }
end

local status, metadata = obj.status, obj.metadata

-- Of objects that are being deleted Argo CD asks only about hooks that it still holds. Nobody will work on them any more, and their generation has
-- moved on: whatever is not good by now never will be, and a sync must not wait for it.
local isLostHook = false
if type(metadata) == "table" and metadata.deletionTimestamp ~= nil and type(metadata.finalizers) == "table" then
  for _, finalizer in ipairs(metadata.finalizers) do
    isLostHook = isLostHook or finalizer == "argocd.argoproj.io/hook-finalizer"
  end
end
if isLostHook then
  if type(status) == "table" and type(status.conditions) == "table" then
    for _, condition in ipairs(status.conditions) do
      if type(condition) == "table" and condition.type == "Ready" and condition.status == "True" then
        return health("Healthy", condition.message)
      end
    end
  end
  return health("Degraded", "Deleted before it was completed")
end

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
