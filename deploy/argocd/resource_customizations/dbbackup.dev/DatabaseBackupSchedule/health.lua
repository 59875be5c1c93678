-- The conditions are those of kstatus: Reconciling and Stalled are there only while they are True, and never both.
-- No library is used: Argo CD gives scripts none but the basic one, table and a part of os.
local function health(status, message)
  if type(message) ~= "string" then
    message = ""
  end
  return { status = status, message = message }
end

local status, metadata = obj.status, obj.metadata
if type(status) ~= "table" then
  status = {}
end
if type(metadata) ~= "table" then
  metadata = {}
end

-- The items of a list, and none of what is no list.
local function items(list)
  return ipairs(type(list) == "table" and list or {})
end

local conditions = {}
for _, condition in items(status.conditions) do
  if type(condition) == "table" and type(condition.type) == "string" then
    conditions[condition.type] = condition
  end
end

-- Of objects that are being deleted Argo CD asks only about hooks that it still holds. Nobody will work on them any more, and their generation has
-- moved on: whatever is not good by now never will be, and a sync must not wait for it.
local isLostHook = false
for _, finalizer in items(metadata.finalizers) do
  isLostHook = isLostHook or (metadata.deletionTimestamp ~= nil and finalizer == "argocd.argoproj.io/hook-finalizer")
end
if not isLostHook and (metadata.generation == nil or status.observedGeneration ~= metadata.generation) then
  return health("Progressing", "Waiting for the operator to see this version")
end

-- What is Ready. A schedule also says how its last backup and the instance's protection stand, which is no part of Ready.
local function ready(message)
  local objective, lastBackup = conditions["WithinObjective"], conditions["LastBackupSucceeded"]
  local wasMet = type(status.objective) == "table" and status.objective.lastMetTime ~= nil
  if objective ~= nil and objective.status == "False" and wasMet then
    return health("Degraded", objective.message)
  end
  if conditions["Ready"].reason == "Suspended" then
    return health("Healthy", "suspended")
  end
  -- Not Degraded: a sync would fail until the first backup is there, and after each night on which one failed. Alerts tell of both.
  for _, condition in ipairs({ objective or {}, lastBackup or {} }) do
    if condition.status == "False" then
      return health("Healthy", condition.message)
    end
  end
  return health("Healthy", message)
end

-- The first that is True counts.
local verdicts = { { "Reconciling", "Progressing" }, { "Stalled", "Degraded" }, { "Ready", "Healthy" } }
for _, verdict in ipairs(verdicts) do
  local condition = conditions[verdict[1]]
  if condition ~= nil and condition.status == "True" and not (isLostHook and verdict[2] == "Progressing") then
    if verdict[1] == "Ready" then
      return ready(condition.message)
    end
    return health(verdict[2], condition.message)
  end
end
if isLostHook then
  return health("Degraded", "Deleted before it was completed")
end
if conditions["Ready"] ~= nil then
  return health("Progressing", conditions["Ready"].message)
end
return health("Progressing", "Waiting for the operator")
