-- For wrk: POSTs the bodies in the files DIRECTORY/1 to DIRECTORY/COUNT in turn, and prints its figures as JSON.
-- Arguments after the address: DIRECTORY COUNT CONTENT-TYPE

local requests, sent = {}, 0

function init(arguments)
  local headers = { ["Content-Type"] = arguments[3] }
  for number = 1, tonumber(arguments[2]) do
    local file = assert(io.open(arguments[1] .. "/" .. number, "rb"))
    requests[number] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
end

function request()
  sent = sent + 1
  return requests[sent % #requests + 1]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
