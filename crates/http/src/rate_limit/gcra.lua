-- Counts requests, each against its buckets up to the first that has nothing left, all as one step.
--
-- KEYS holds the buckets of one request after those of the other, and ARGV three numbers for each bucket: its place
-- among those of its request, from 0; the microseconds after which one more request is let in; and how many may come
-- at once. The answer holds one number for each bucket: the microseconds until it is full again, or, negative, those
-- until it lets the next request in, or 0 where it was not looked at.
--
-- A bucket is kept as the moment at which it is full, by Redis' own clock: no two replicas have to agree on the time.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local answer = {}
local refused = false
for i, key in ipairs(KEYS) do
  refused = refused and ARGV[3 * i - 2] ~= '0'
  answer[i] = 0
  if not refused then
    local interval = tonumber(ARGV[3 * i - 1])
    local capacity = interval * tonumber(ARGV[3 * i])
    local full_at = tonumber(redis.call('GET', key) or now)
    -- A clock that was set back must shut nobody out for longer than the limit does.
    full_at = math.min(math.max(full_at, now), now + capacity)
    local wait = full_at + interval - capacity - now
    if wait > 0 then
      answer[i] = -wait
      refused = true
    else
      full_at = full_at + interval
      redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
      answer[i] = full_at - now
    end
  end
end
return answer
