-- Sends one or several requests at once, of one path or of several in turns, and prints what was counted as
-- one line of JSON.

function init(arguments)
  local depth = tonumber(arguments[1])
  local batches = {}
  for at = 2, math.max(2, #arguments) do
    batches[at - 1] = string.rep(wrk.format(nil, arguments[at]), depth)
  end
  if depth > 1 or #batches > 1 then
    local at = 0
    function request()
      at = at % #batches + 1
      return batches[at]
    end
  end
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '\n{"bytes":%d,"requests":%d,"errors":%d}\n',
    summary.bytes,
    summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
