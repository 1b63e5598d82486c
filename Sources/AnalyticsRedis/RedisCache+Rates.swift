public import AnalyticsCore

extension RedisCache: RateStore {
    public func lease(_ request: TokenRequest) async -> TokenLease? {
        let numbers = [request.rate, request.least, request.most, Int(TokenRequest.longestDebt.seconds) * 1_000_000]
        let command = ["EVAL", Self.script, "1", "\(keyPrefix)rate:\(request.bucket)"] + numbers.map { String($0) }
        guard case .bytes(let reply) = await perform(command.map { Array($0.utf8) }) else { return nil }
        return TokenLease(reply, for: request)
    }

    /// `TokenBucket` in Redis' own time. A bucket is the time at which it is full again, in microseconds since 2023, so that a double
    /// holds parts of one; without a key it is full. Times that cannot be are cut: Redis' clock may be set back. The reply is the number of
    /// granted tokens and the microseconds until the bucket is full.
    ///
    /// EVAL and not EVALSHA: Redis compiles a script once and finds it by its text in some microseconds.
    private static let script = """
        local time = redis.call('TIME')
        local now = (time[1] - 1700000000) * 1000000 + time[2]
        local rate, least, most, debt = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
        local full = tonumber(redis.call('GET', KEYS[1]) or now) or now
        full = math.min(math.max(now, full), now + 1000000 + debt)
        local room = 1000000 - (full - now)
        local granted = 0
        if math.min(least, rate) * 1000000 / rate <= room + 1 then
          granted = math.max(least, math.min(most, math.floor(room * rate / 1000000)))
          full = math.min(full + granted * 1000000 / rate, now + 1000000 + debt)
          redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.max(1, math.ceil((full - now) / 1000)))
        end
        return string.format('%.0f %.0f', granted, math.floor(full - now))
        """
}

extension TokenLease {
    fileprivate init?(_ reply: [UInt8], for request: TokenRequest) {
        // Two numbers have at most 39 bytes.
        guard reply.count < 40, let text = String(validating: reply, as: UTF8.self), let (first, second) = text.cutUTF8(atFirst: " "),
            let granted = Int(first), let microseconds = Int(second)
        else { return nil }
        self.init(granted: granted, fullIn: .microseconds(microseconds), for: request)
    }
}
