import TestSupport
import Testing

@testable import AnalyticsCore

struct AttemptLimiterTests {
    private let place = AccountPlace(account: "a", address: "192.0.2.1")

    private func begin(
        _ limiter: inout AttemptLimiter, _ place: AccountPlace, isFamiliar: Bool = false, at now: Duration
    ) -> Duration? {
        limiter.begin(place, isFamiliar: isFamiliar, at: now)
    }

    private func end(_ limiter: inout AttemptLimiter, _ outcome: AttemptLimiter.Outcome, at now: Duration) {
        limiter.end(place, isFamiliar: false, outcome, at: now)
    }

    /// Fails if it may be made now. Returns the wait.
    private func fail(_ limiter: inout AttemptLimiter, _ place: AccountPlace, isFamiliar: Bool = false, at now: Duration) -> Duration? {
        let wait = limiter.begin(place, isFamiliar: isFamiliar, at: now)
        if wait == nil { limiter.end(place, isFamiliar: isFamiliar, .failure, at: now) }
        return wait
    }

    /// Attempts from another network each.
    private func failElsewhere(_ limiter: inout AttemptLimiter, _ count: Int, at now: Duration) {
        for number in 0..<count {
            #expect(fail(&limiter, AccountPlace(account: "a", address: Client.numbered(number).address), at: now) == nil)
        }
    }

    @Test func afterFiveFailuresEachFurtherAttemptWaitsTwiceAsLong() {
        var limiter = AttemptLimiter()
        var now = Duration.seconds(100)
        for _ in 0..<5 { #expect(fail(&limiter, place, at: now) == nil) }
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            #expect(fail(&limiter, place, at: now) == .seconds(seconds))
            #expect(fail(&limiter, place, at: now + .seconds(seconds) - .nanoseconds(1)) == .nanoseconds(1))
            now += .seconds(seconds)
            #expect(fail(&limiter, place, at: now) == nil)
        }
    }

    @Test func theRightPasswordWaitsTooAndClearsTheFailures() {
        var limiter = AttemptLimiter()
        for _ in 0..<6 { _ = fail(&limiter, place, at: .zero) }
        #expect(begin(&limiter, place, at: .zero) == .seconds(1))
        #expect(begin(&limiter, place, at: .seconds(1)) == nil)
        end(&limiter, .success, at: .seconds(1))
        for _ in 0..<5 { #expect(fail(&limiter, place, at: .seconds(60)) == nil) }
        #expect(fail(&limiter, place, at: .seconds(60)) == .seconds(1))
    }

    @Test func anHourWithoutAFailureForgetsThem() {
        var limiter = AttemptLimiter()
        for _ in 0..<5 { _ = fail(&limiter, place, at: .zero) }
        #expect(fail(&limiter, place, at: .seconds(3_599)) == nil)
        #expect(fail(&limiter, place, at: .seconds(3_600)) == .seconds(1), "it counted as the sixth")
        for _ in 0..<5 { #expect(fail(&limiter, place, at: .seconds(3_599 + 3_600)) == nil) }
        #expect(fail(&limiter, place, at: .seconds(3_599 + 3_600)) == .seconds(1))
    }

    @Test func aNetworkHasTwentyFailuresForAllAccountsAndASuccessDoesNotClearThem() {
        func of(_ account: String, _ end: String = "ffff") -> AccountPlace { AccountPlace(account: account, address: "2001:db8::\(end)") }
        var limiter = AttemptLimiter()
        for number in 0..<20 { #expect(fail(&limiter, of("\(number)", "\(number)"), at: .zero) == nil) }
        #expect(fail(&limiter, of("new"), at: .zero) == .seconds(1))
        #expect(fail(&limiter, AccountPlace(account: "new", address: "2001:db8:0:1::1"), at: .zero) == nil, "another network")
        #expect(begin(&limiter, of("right"), at: .seconds(1)) == nil)
        limiter.end(of("right"), isFamiliar: false, .success, at: .seconds(1))
        #expect(fail(&limiter, of("new"), at: .seconds(1)) == nil)
        #expect(fail(&limiter, of("new"), at: .seconds(1)) == .seconds(2))
    }

    @Test func anAccountHasAHundredFailuresFromAllNetworks() {
        var limiter = AttemptLimiter()
        failElsewhere(&limiter, 100, at: .zero)
        #expect(fail(&limiter, place, at: .zero) == .seconds(1))
        #expect(fail(&limiter, AccountPlace(account: "b", address: "192.0.2.1"), at: .zero) == nil)
    }

    @Test func whoHasSignedInFromThereWaitsForTheirOwnFailuresOnly() {
        var limiter = AttemptLimiter()
        failElsewhere(&limiter, 100, at: .zero)
        for number in 0..<19 { _ = fail(&limiter, AccountPlace(account: "\(number)", address: "192.0.2.1"), at: .zero) }
        #expect(begin(&limiter, place, at: .zero) == .seconds(1))
        for _ in 0..<5 { #expect(fail(&limiter, place, isFamiliar: true, at: .zero) == nil) }
        #expect(fail(&limiter, place, isFamiliar: true, at: .zero) == .seconds(1))
        #expect(fail(&limiter, AccountPlace(account: "new", address: "192.0.2.1"), at: .zero) == nil, "theirs do not count for the network")
        #expect(fail(&limiter, AccountPlace(account: "new", address: "192.0.2.1"), at: .zero) == .seconds(1))
    }

    /// Each costs a hash, right ones too.
    @Test func ofOneAccountFromOneNetworkTenAttemptsPerMinuteAreMadeAfterTenAtOnce() {
        var limiter = AttemptLimiter()
        for _ in 0..<10 {
            #expect(begin(&limiter, place, at: .zero) == nil)
            end(&limiter, .withdrawn, at: .zero)
        }
        #expect(begin(&limiter, place, at: .zero) == .seconds(6))
        #expect(limiter.begin(place, isFamiliar: true, at: .zero) == .seconds(6))
        #expect(begin(&limiter, AccountPlace(account: "b", address: "192.0.2.1"), at: .zero) == nil)
        #expect(begin(&limiter, AccountPlace(account: "a", address: "192.0.2.2"), at: .zero) == nil)
        var made = 0
        for second in 1...600 where begin(&limiter, place, at: .seconds(second)) == nil {
            made += 1
            end(&limiter, .success, at: .seconds(second))
        }
        #expect(made == 100)
    }

    @Test func attemptsAtTheSameTimeDoNotExceedWhatIsFree() {
        var limiter = AttemptLimiter()
        for _ in 0..<5 { #expect(begin(&limiter, place, at: .zero) == nil) }
        #expect(begin(&limiter, place, at: .zero) == .seconds(1))
        end(&limiter, .withdrawn, at: .zero)
        #expect(begin(&limiter, place, at: .zero) == nil, "one that was not compared takes nothing")
        for _ in 0..<5 { end(&limiter, .failure, at: .zero) }
        #expect(begin(&limiter, place, at: .seconds(1)) == nil)
        #expect(begin(&limiter, place, at: .seconds(100)) == .seconds(1), "one at a time from then on")
        end(&limiter, .failure, at: .seconds(100))
        #expect(begin(&limiter, place, at: .seconds(100)) == .seconds(2))
    }

    /// Beside lists of all failures, and buckets.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func eachFurtherAttemptWaitsAsTheListsOfFailuresSay(seed: UInt64) {
        func wait(_ failures: [Duration], allowed: Int, at now: Duration) -> Duration {
            guard let last = failures.last, now - last < .seconds(3_600) else { return .zero }
            let gaps = zip(failures.dropFirst(), failures).map { $0 - $1 }
            let count = 1 + gaps.reversed().prefix { $0 < .seconds(3_600) }.count
            guard count >= allowed else { return .zero }
            var pause = Duration.seconds(1)
            for _ in allowed..<count { pause = min(pause * 2, .seconds(900)) }
            return max(.zero, last + pause - now)
        }
        var random = Seeded(seed)
        var limiter = AttemptLimiter()
        var pairs: [String: [Duration]] = [:]
        var buckets: [String: TokenBucket] = [:]
        var ofNetworks: [Int: [Duration]] = [:]
        var ofAccounts: [Int: [Duration]] = [:]
        var now = Duration.zero
        let (accounts, networks) = (1 + random.below(4), 1 + random.below(8))
        for _ in 0..<1_000 {
            now += random.chance(1) ? .seconds(random.below(5_000)) : .milliseconds(random.below(random.chance(80) ? 900 : 60_000))
            let (account, network, isFamiliar) = (random.below(accounts), random.below(networks), random.chance(20))
            let place = AccountPlace(account: "\(account)", address: "10.0.0.\(network)")
            let pair = "\(account)/\(network)"
            var bucket = buckets[pair] ?? TokenBucket(rate: 1, burst: 60)
            var expected = max(bucket.wait(for: 6, at: now), wait(pairs[pair] ?? [], allowed: 5, at: now))
            if !isFamiliar {
                expected = max(
                    expected, wait(ofNetworks[network] ?? [], allowed: 20, at: now), wait(ofAccounts[account] ?? [], allowed: 100, at: now))
            }
            let given = limiter.begin(place, isFamiliar: isFamiliar, at: now)
            #expect(given == (expected == .zero ? nil : expected))
            guard given == nil else { continue }
            _ = bucket.take(6, at: now)
            buckets[pair] = bucket
            switch random.below(20) {
            case 0:
                limiter.end(place, isFamiliar: isFamiliar, .success, at: now)
                pairs[pair] = nil
            case 1: limiter.end(place, isFamiliar: isFamiliar, .withdrawn, at: now)
            default:
                limiter.end(place, isFamiliar: isFamiliar, .failure, at: now)
                pairs[pair, default: []].append(now)
                guard !isFamiliar else { continue }
                ofNetworks[network, default: []].append(now)
                ofAccounts[account, default: []].append(now)
            }
        }
    }

    /// A guess every second.
    @Test(arguments: [(1, 109), (1_000, 204)])
    func inADayTwoHundredGuessesAreMadeHoweverManyNetworksTheyComeFrom(networks: Int, expected: Int) {
        var limiter = AttemptLimiter()
        var guesses = 0
        for second in 0..<86_400 {
            let place = AccountPlace(account: "a", address: Client.numbered(second % networks).address)
            if fail(&limiter, place, at: .seconds(second)) == nil { guesses += 1 }
        }
        #expect(guesses == expected)
    }

    // MARK: What is remembered

    /// Neither attempts that cost nothing nor failures of others let an account be guessed at without a wait.
    @Test(arguments: [AttemptLimiter.Outcome.withdrawn, .failure])
    func aFloodOfOtherAccountsDoesNotPushOutTheFailuresOfOne(outcome: AttemptLimiter.Outcome) {
        var limiter = AttemptLimiter()
        failElsewhere(&limiter, 95, at: .zero)
        for _ in 0..<5 { #expect(fail(&limiter, place, at: .zero) == nil) }
        for number in 0..<AttemptLimiter.maximumKeys + 50 {
            let other = AccountPlace(account: "\(number)", address: Client.numbered(1_000 + number).address)
            #expect(begin(&limiter, other, at: .zero) == nil)
            limiter.end(other, isFamiliar: false, outcome, at: .zero)
        }
        #expect(fail(&limiter, place, isFamiliar: true, at: .zero) == .seconds(1), "of this network")
        #expect(fail(&limiter, AccountPlace(account: "a", address: "192.0.2.2"), at: .zero) == .seconds(1), "of the account")
    }
}
