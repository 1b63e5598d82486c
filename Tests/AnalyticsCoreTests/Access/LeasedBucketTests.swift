import TestSupport
import Testing

@testable import AnalyticsCore

struct LeasedBucketTests {
    // MARK: Many processes

    @Test(arguments: 0..<150 as Range<UInt64>)
    func allProcessesTogetherKeepToTheRate(seed: UInt64) {
        var simulation = Simulation(seed: seed, hasOutages: false)
        simulation.run()
        let rate = Double(simulation.rate)
        let limit = rate + simulation.debt
        #expect(simulation.excess(of: simulation.leased, rate: rate) <= limit + 0.01, "what the store gives")
        // A token may be used a little after it was leased.
        let late = rate * LeasedBucket<Int>.lifetime.seconds
        #expect(simulation.excess(of: simulation.admitted, rate: rate) <= limit + late + 0.01, "what requests use")
        #expect(simulation.isEachAnsweredOnce && simulation.refusedThoughGranted == 0)
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func whileTheStoreIsDownEachProcessKeepsToTheRate(seed: UInt64) {
        var simulation = Simulation(seed: seed, hasOutages: true)
        simulation.run()
        let rate = Double(simulation.rate)
        for process in 0..<simulation.processes {
            let own = simulation.admitted.filter { $0.process == process }
            #expect(simulation.excess(of: own, rate: rate) <= rate + simulation.debt + 0.01)
        }
        #expect(simulation.isEachAnsweredOnce && simulation.refusedThoughGranted == 0)
    }

    @Test(arguments: [1, 2, 5])
    func aProjectBelowItsRateIsNeverRefusedAndSeldomAsksTheStore(processes: Int) {
        var simulation = Simulation(rate: 2_000, processes: processes)
        // 1,500 per second, one after another in turn.
        for number in 0..<6_000 { simulation.request(at: .microseconds(number * 667), process: number % processes) }
        simulation.run()
        #expect(simulation.admitted.count == 6_000 && simulation.isEachAnsweredOnce)
        #expect(simulation.leases < 6_000 / 10, "\(simulation.leases) leases")
    }

    @Test func aFloodUsesUpTheWholeRateAndSeldomAsksTheStore() {
        var simulation = Simulation(rate: 1_000, processes: 3)
        for number in 0..<20_000 { simulation.request(at: .microseconds(number * 250), process: number % 3) }
        simulation.run()
        // Of 5 s, and the bucket.
        #expect(simulation.admitted.count > 5_900 && simulation.admitted.count <= 6_100 && simulation.isEachAnsweredOnce)
        #expect(simulation.leases < 20_000 / 10, "\(simulation.leases) leases")
    }

    // MARK: One process

    private struct OneProcess {
        var bucket: LeasedBucket<Int>
        var store: TokenBucket

        init(rate: Int = 10) {
            bucket = LeasedBucket(name: "b", rate: rate, isShared: true)
            store = TokenBucket(rate: rate)
        }

        /// Takes tokens, and asks the store at once if there are none.
        mutating func take(_ count: Int = 1, at now: Duration) -> Rate? {
            if let rate = bucket.take(count, at: now) { return rate }
            bucket.wait(0, for: count, at: now)
            let request = bucket.lease(at: now)
            let lease = request.flatMap { store.lease($0, at: now) }
            return bucket.leased(lease, asked: now, at: now).first?.rate
        }
    }

    @Test func anIdleProjectLosesNothing() {
        var process = OneProcess()
        #expect(process.take(at: .zero) == Rate(limit: 10, remaining: 9))
        #expect(process.bucket.lease(at: .zero) == nil)
        #expect(process.store.remaining(at: .zero) == 9)
    }

    @Test func aBusyProjectLeasesAtMostATenthOfASecondInAdvance() {
        var process = OneProcess()
        for _ in 0..<4 { #expect(process.take(at: .zero)?.isAllowed == true) }
        #expect(process.store.remaining(at: .zero) == 5)
    }

    @Test func whatIsKnownToBeMissingIsRefusedWithoutTheStore() {
        var process = OneProcess()
        for _ in 0..<10 { #expect(process.take(at: .zero)?.isAllowed == true) }
        let refused = process.bucket.take(1, at: .milliseconds(50))
        #expect(refused == Rate(limit: 10, remaining: 0, retryAfter: .milliseconds(50)))
        #expect(process.take(at: .milliseconds(100))?.isAllowed == true)
    }

    @Test func tokensThatOthersHaveTakenAreNotThere() {
        var process = OneProcess()
        _ = process.store.take(10, at: .zero)
        #expect(process.take(at: .zero) == Rate(limit: 10, remaining: 0, retryAfter: .milliseconds(100)))
        #expect(process.bucket.take(1, at: .milliseconds(40))?.retryAfter == .milliseconds(60))
    }

    @Test func aBatchThatIsLargerThanTheBucketPassesWhenItIsFullAndItsDebtIsShared() {
        var process = OneProcess()
        #expect(process.take(25, at: .zero)?.isAllowed == true)
        var other = OneProcess()
        other.store = process.store
        #expect(other.take(at: .zero) == Rate(limit: 10, remaining: 0, retryAfter: .milliseconds(1_600)))
        #expect(process.take(25, at: .seconds(2))?.isAllowed == false)
        #expect(process.take(25, at: .milliseconds(2_500))?.isAllowed == true)
    }

    @Test func oneLeaseRunsAtATimeAndTheOthersWaitForIt() {
        var process = OneProcess()
        for waiter in 1...3 {
            #expect(process.bucket.take(1, at: .zero) == nil)
            process.bucket.wait(waiter, for: 1, at: .zero)
        }
        let request = process.bucket.lease(at: .zero)
        #expect(request == TokenRequest(bucket: "b", rate: 10, least: 1, most: 3))
        #expect(process.bucket.lease(at: .zero) == nil)
        // Comes while the lease runs, so it waits for the next one.
        process.bucket.wait(4, for: 1, at: .zero)
        let lease = request.flatMap { process.store.lease($0, at: .zero) }
        let answers = process.bucket.leased(lease, asked: .zero, at: .zero)
        #expect(answers.map(\.waiter) == [1, 2, 3] && answers.allSatisfy { $0.rate.isAllowed })
        #expect(process.bucket.lease(at: .zero)?.least == 1)
    }

    @Test func aBatchWhoseTokensAreGrantedIsNotRefusedBecauseOfARequestThatCameLater() {
        var process = OneProcess(rate: 1_000)
        // Leaves a token for the next tenth of a second.
        for _ in 0..<2 { #expect(process.take(at: .zero)?.isAllowed == true) }
        let now = Duration.milliseconds(50)
        #expect(process.bucket.take(5_000, at: now) == nil)
        process.bucket.wait(1, for: 5_000, at: now)
        let request = process.bucket.lease(at: now)
        #expect(request?.least == 5_000)
        #expect(process.bucket.take(1, at: now)?.retryAfter == .milliseconds(4_001), "it would take the place of the batch")
        let lease = request.flatMap { process.store.lease($0, at: now) }
        #expect(lease?.granted == 5_000)
        let answers = process.bucket.leased(lease, asked: now, at: now)
        #expect(answers.map(\.waiter) == [1] && answers.allSatisfy { $0.rate.isAllowed })
    }

    @Test func aLargeRequestHasALeaseOfItsOwn() {
        var process = OneProcess()
        for (waiter, count) in [1, 1, 4, 1].enumerated() { process.bucket.wait(waiter, for: count, at: .zero) }
        let request = process.bucket.lease(at: .zero)
        #expect(request == TokenRequest(bucket: "b", rate: 10, least: 1, most: 2))
        let lease = request.flatMap { process.store.lease($0, at: .zero) }
        #expect(process.bucket.leased(lease, asked: .zero, at: .zero).map(\.waiter) == [0, 1])
        #expect(process.bucket.lease(at: .zero) == TokenRequest(bucket: "b", rate: 10, least: 4, most: 5))
    }

    @Test func theTokenOfAnAttemptIsUsedAtASmallRateToo() {
        var process = OneProcess(rate: 5)
        process.bucket.wait(7, for: 1, at: .zero)
        _ = process.bucket.lease(at: .zero)
        #expect(process.bucket.leased(nil, asked: .zero, at: .zero).map(\.waiter) == [7])
        let back = Duration.milliseconds(100)
        let lease = process.bucket.lease(at: back).flatMap { process.store.lease($0, at: back) }
        #expect(process.bucket.leased(lease, asked: back, at: back).isEmpty)
        #expect(process.bucket.take(1, at: back)?.isAllowed == true)
    }

    @Test func moreDoNotWaitThanTheBucketMayHaveTokensFor() {
        var process = OneProcess()
        for waiter in 0..<10 { process.bucket.wait(waiter, for: 1, at: .zero) }
        #expect(process.bucket.take(1, at: .zero)?.isAllowed == false)
    }

    @Test(arguments: [Duration?.none, .milliseconds(101)])
    func whenTheStoreIsDownOrLateTheProcessDecidesAlone(delay: Duration?) {
        var process = OneProcess()
        process.bucket.wait(7, for: 1, at: .zero)
        let request = process.bucket.lease(at: .zero)
        let lease = delay == nil ? nil : request.flatMap { process.store.lease($0, at: .zero) }
        let now = delay ?? .milliseconds(20)
        let answers = process.bucket.leased(lease, asked: .zero, at: now)
        #expect(answers.map(\.waiter) == [7] && answers.first?.rate == Rate(limit: 10, remaining: 9))
        // The whole rate, and nothing waits.
        for _ in 0..<9 { #expect(process.bucket.take(1, at: now)?.isAllowed == true) }
        #expect(process.bucket.take(1, at: now)?.isAllowed == false)
        #expect(process.bucket.lease(at: now + .milliseconds(99)) == nil)
        let back = now + .milliseconds(100)
        let again = process.bucket.lease(at: back)
        #expect(again == TokenRequest(bucket: "b", rate: 10, least: 1, most: 1))
        #expect(process.bucket.take(1, at: back)?.isAllowed == true, "nothing waits for the attempt")
        let answer = again.flatMap { process.store.lease($0, at: back) }
        #expect(process.bucket.leased(answer, asked: back, at: back).isEmpty)
        #expect(process.bucket.take(1, at: back)?.isAllowed == false, "it has admitted its ten")
        #expect(process.take(at: back + .milliseconds(100))?.isAllowed == true)
        #expect(process.store.remaining(at: back + .milliseconds(100)) == 8, "and the store is asked, for this request and the next")
    }

    @Test func aStoreThatAnswersNonsenseGivesNoLease() {
        let request = TokenRequest(bucket: "b", rate: 10, least: 5, most: 8)
        for granted in [Int.min, -1, 1, 4, 9, .max] {
            #expect(TokenLease(granted: granted, fullIn: .zero, for: request) == nil, "\(granted)")
        }
        for wait in [Duration.microseconds(-1), .seconds(61) + .microseconds(1), .seconds(Int64.max)] {
            #expect(TokenLease(granted: 0, fullIn: wait, for: request) == nil, "\(wait)")
        }
        for granted in [0, 5, 8] { #expect(TokenLease(granted: granted, fullIn: .seconds(61), for: request) != nil) }
    }

    @Test func aStoreThatGivesEverythingDoesNotRaiseTheRateOfAProcess() {
        var process = OneProcess()
        var passed = 0
        for number in 0..<2_000 {
            process.store = TokenBucket(rate: 10)
            if process.take(at: .milliseconds(number))?.isAllowed == true { passed += 1 }
        }
        #expect(passed <= 10 + 20)
    }
}

/// Processes with clocks of their own that ask one store, in simulated time.
private struct Simulation {
    struct Use {
        var time: Duration
        var process: Int
        var count: Int
    }

    private enum Step {
        case request(process: Int, count: Int)
        /// - Parameter first: The first request that waits for it.
        case ask(process: Int, TokenRequest, first: Int?, asked: Duration)
        case answer(process: Int, TokenLease?, first: Int?, asked: Duration)
    }

    let rate: Int
    let processes: Int
    private(set) var admitted: [Use] = []
    private(set) var leased: [Use] = []
    private(set) var leases = 0
    private(set) var refusedThoughGranted = 0
    private var random: Seeded
    private var buckets: [LeasedBucket<Int>]
    private var clocks: [Duration]
    private var store: TokenBucket
    private var outages: [Range<Duration>] = []
    private var longestDelay = Duration.microseconds(500)
    private var isSometimesLate = false
    private var largest = 1
    /// In the order in which they happen, as the others.
    private var arrivals: [(time: Duration, step: Step)] = []
    private var pending: [(time: Duration, step: Step)] = []
    /// By the number of the request.
    private var requests: [(process: Int, count: Int, answers: Int)] = []
    /// Of each process, in their order.
    private var waiting: [[Int]]

    init(rate: Int, processes: Int, random: Seeded = Seeded(1)) {
        self.rate = rate
        self.processes = processes
        self.random = random
        buckets = Array(repeating: LeasedBucket(name: "b", rate: rate, isShared: true), count: processes)
        clocks = Array(repeating: .zero, count: processes)
        waiting = Array(repeating: [], count: processes)
        store = TokenBucket(rate: rate)
    }

    init(seed: UInt64, hasOutages: Bool) {
        var random = Seeded(seed)
        let rates = [1, 2, 3, 7, 10, 33, 100, 1_000]
        self.init(rate: rates[random.below(rates.count)], processes: 1 + random.below(5), random: random)
        for process in clocks.indices { clocks[process] = .milliseconds(self.random.below(1_000_000)) }
        longestDelay = .microseconds(1 + self.random.below(self.random.chance(50) ? 1_000 : 49_000))
        largest = self.random.chance(50) ? 1 : 1 + self.random.below(rate * 3)
        // From a tenth to ten times the rate, in tokens.
        let factors = [0.1, 0.3, 0.9, 1.5, 10]
        let gap = Duration.seconds(largest + 1) / (2 * rate) * factors[self.random.below(factors.count)]
        var time = Duration.zero
        for _ in 0..<800 {
            time += gap * (Double(self.random.below(2_000)) / 1_000)
            request(at: time, process: self.random.below(processes), count: 1 + self.random.below(largest))
        }
        guard hasOutages else { return }
        isSometimesLate = self.random.chance(50)
        for _ in 0..<3 {
            let start = time * (Double(self.random.below(1_000)) / 1_000)
            outages.append(start..<start + .milliseconds(1 + self.random.below(3_000)))
        }
    }

    /// The most that one request can take above what the bucket holds.
    var debt: Double { Double(max(0, largest - rate)) }

    var isEachAnsweredOnce: Bool { requests.allSatisfy { $0.answers == 1 } }

    mutating func request(at time: Duration, process: Int, count: Int = 1) {
        arrivals.append((time, .request(process: process, count: count)))
    }

    mutating func run() {
        var arrived = 0
        while true {
            let arrival = arrived < arrivals.count ? arrivals[arrived] : nil
            let isPending = pending.first.map { first in arrival.map { first.time <= $0.time } ?? true } ?? false
            guard let (time, step) = isPending ? pending.removeFirst() : arrival else { return }
            if !isPending { arrived += 1 }
            let process: Int
            switch step {
            case .request(let sender, let count):
                process = sender
                begin(count, of: process, at: time)
            case .ask(let asker, let request, let first, let asked):
                process = asker
                let isDown = outages.contains { $0.contains(time) }
                let lease = isDown ? nil : store.lease(request, at: time)
                if let lease { leased.append(Use(time: time, process: process, count: lease.granted)) }
                let isLate = isSometimesLate && random.chance(10)
                insert(.answer(process: process, lease, first: first, asked: asked), at: time + (isLate ? .milliseconds(150) : delay()))
            case .answer(let asker, let lease, let first, let asked):
                process = asker
                let answers = buckets[process].leased(lease, asked: asked + clocks[process], at: time + clocks[process])
                for (number, rate) in answers {
                    end(number, rate, at: time)
                    waiting[process].removeAll { $0 == number }
                }
                let isAdmitted = answers.contains { $0.waiter == first && $0.rate.isAllowed }
                if first != nil, lease.map({ $0.granted > 0 }) ?? false, !isAdmitted { refusedThoughGranted += 1 }
            }
            if let request = buckets[process].lease(at: time + clocks[process]) {
                leases += 1
                insert(.ask(process: process, request, first: waiting[process].first, asked: time), at: time + delay())
            }
        }
    }

    private mutating func begin(_ count: Int, of process: Int, at time: Duration) {
        requests.append((process, count, 0))
        let number = requests.count - 1
        if let rate = buckets[process].take(count, at: time + clocks[process]) {
            end(number, rate, at: time)
        } else {
            buckets[process].wait(number, for: count, at: time + clocks[process])
            waiting[process].append(number)
        }
    }

    private mutating func end(_ number: Int, _ rate: Rate, at time: Duration) {
        requests[number].answers += 1
        guard rate.isAllowed else { return }
        admitted.append(Use(time: time, process: requests[number].process, count: requests[number].count))
    }

    private mutating func delay() -> Duration { longestDelay * (Double(random.below(1_000)) / 1_000) }

    private mutating func insert(_ step: Step, at time: Duration) {
        pending.insert((time, step), at: pending.firstIndex { $0.time > time } ?? pending.count)
    }

    /// The largest number of tokens in any window, above those that come at the rate during it.
    func excess(of uses: [Use], rate: Double) -> Double {
        var (level, most, last) = (0.0, 0.0, Duration.zero)
        for use in uses {
            level = max(0, level - (use.time - last).seconds * rate) + Double(use.count)
            most = max(most, level)
            last = use.time
        }
        return most
    }
}
