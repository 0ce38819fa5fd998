-- Sends one or several requests at once, and prints what was counted as one line of JSON.

function init(arguments)
  local depth = tonumber(arguments[1])
  if depth > 1 then
    local batch = string.rep(wrk.format(), depth)
    function request()
      return batch
    end
  end
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '\n{"bytes":%d,"errors":%d}\n',
    summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
