-- Requests for wrk: `wrk -s requests.lua URL -- KIND [BODY]`. KIND is event, wait, batch, get or post (with the body).
-- Every thread has its own prefix, so that no id is used twice.
local thread = 0
local run = os.time()

function setup(t)
  thread = thread + 1
  t:set("prefix", run .. "-" .. thread)
end

local kind
local body
local count = 0

local function event()
  count = count + 1
  return '{"id":"' .. prefix .. "-" .. count .. '","type":"page_view","source":"web","userId":"u' .. count % 1000
    .. '","data":{"url":"https://example.com/pricing?utm_source=mail","referrer":"https://www.google.com/",'
    .. '"title":"Pricing","load_ms":' .. count % 900 .. ',"plan":"team","seats":25,"trial":true}}'
end

function init(arguments)
  kind = arguments[1]
  body = arguments[2]
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  if kind == "event" then return wrk.format("POST", "/api/v1/events", nil, event()) end
  if kind == "wait" then return wrk.format("POST", "/api/v1/events?wait=stored", nil, event()) end
  if kind == "batch" then
    local events = {}
    for index = 1, 500 do events[index] = event() end
    return wrk.format("POST", "/api/v1/events/batch", nil, "[" .. table.concat(events, ",") .. "]")
  end
  if kind == "post" then return wrk.format("POST", nil, nil, body) end
  return wrk.format("GET")
end

-- Answers that are no success would make a rate look good.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("%d %.0f %.2f %.2f %.2f\n", summary.requests, summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
  io.write(string.format("%d\n", errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
