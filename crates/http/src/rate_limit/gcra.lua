-- Counts one request against every bucket in KEYS, up to the first that has nothing left, as one step.
--
-- ARGV holds two numbers for each bucket: the microseconds after which one more request is let in, and how many
-- may come at once. The answer holds one number for each bucket that was looked at: the microseconds until it is
-- full again, or, negative, those until it lets the next request in.
--
-- A bucket is kept as the moment at which it is full, by Redis' own clock: no two replicas have to agree on the time.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local answer = {}
for i, key in ipairs(KEYS) do
  local interval = tonumber(ARGV[2 * i - 1])
  local capacity = interval * tonumber(ARGV[2 * i])
  local full_at = tonumber(redis.call('GET', key) or now)
  -- A clock that was set back must shut nobody out for longer than the limit does.
  full_at = math.min(math.max(full_at, now), now + capacity)
  local wait = full_at + interval - capacity - now
  if wait > 0 then
    answer[i] = -wait
    break
  end
  full_at = full_at + interval
  redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  answer[i] = full_at - now
end
return answer
