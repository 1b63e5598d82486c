import TestSupport

@testable import AnalyticsCore

/// The rollups' protocol as a model: flushes, three rollers, two sweepers and readers take their steps in an order that a seed decides;
/// steps crash, take effect twice, or take effect late. What is pure in production is production's own: the order of marks, the sums
/// of hours and days, the decomposition of a range, what a sweep raises, what becomes of a minute that was closed.
///
/// This is the store, and what must hold; `RollupModelActors.swift` has those who act on it.
struct RollupModel {
    /// What is changed to see that the model finds it.
    enum Variant: CaseIterable {
        case production
        case hoursMarkedBeforeMinutes
        case markedBeforeInserted
        case bumpedBeforeMarked
        case rolledWithoutComparing
        case countedOverExisting
        /// A roller writes what it counted without reading the watermark again.
        case rolledWithoutReadingAgain
        /// A reader answers what it counted without reading the watermark again.
        case answeredWithoutReadingAgain
        /// A sweeper deletes what is closed, and raises the watermark afterwards.
        case deletedBeforeRaising
        /// A sweeper raises the watermark past marked minutes.
        case raisedPastMarked
        /// A sweeper looks for marked minutes before it closes time.
        case closedAfterLooking
        /// A flush does not look for closed time after its marks.
        case notConfirmed
        /// A minute below the watermark is unmarked by a roll of what was read of it.
        case unmarkedByRolling
        /// A roller sums buckets of which some are marked.
        case summedOverMarked
    }

    enum Step: Equatable {
        case admit
        case insert
        case markMinutes([Int])
        case markHours([Int])
        case markDays
        case confirm
    }

    /// Two minutes of one hour and one of the next.
    static let minutes: [Int64] = [0, 1, 60]
    static let hours: [Int64] = [0, 1]
    static let days: [Int64] = [0]
    /// Two spellings of one letter among them, and the name under which earlier versions folded.
    static let types = ["a", "\u{E9}", "e\u{301}", "__other__", ""]

    struct Event {
        var minute: Int
        var type: Int
        var isStored = false
        var wasStored = false
        /// Its delivery is acknowledged.
        var isAcknowledged = false
        /// It is in the dead letters, as expired.
        var isDead = false
    }

    struct Bucket {
        var rollup: Rollup
        var exists = false
    }

    struct CacheKey: Hashable {
        var generation: Int
        var range: Range<Int64>
    }

    /// A write that its caller gave up on, and that happens all the same.
    enum Late {
        case step(Step, Writer)
        case roll(Int, Int64, [RollupGroup])
        case unmark(Int, Int64)
        case close(Timestamp)
        case raise(Timestamp)
        case delete(Int)
    }

    let variant: Variant
    var events: [Event] = []
    var buckets: [Bucket]
    var record = ProjectRecord(project: "p")
    var generation = 0
    var cache: [CacheKey: Int64] = [:]
    var late: [Late] = []
    var failure: String?

    init(_ variant: Variant) {
        self.variant = variant
        buckets = (Self.minutes + Self.hours + Self.days).map {
            Bucket(rollup: Rollup(key: BucketKey(project: "p", index: $0), version: 0, done: 0, dirty: false, groups: []))
        }
    }

    // MARK: The store

    mutating func apply(_ step: Step, _ writer: Writer) {
        switch step {
        case .admit, .confirm: break
        case .insert: for event in writer.open { (events[event].isStored, events[event].wasStored) = (true, true) }
        case .markMinutes(let slots): for slot in slots { mark(slot, counted(by: writer, slot)) }
        case .markHours(let slots): for slot in slots { mark(Self.minutes.count + slot) }
        case .markDays:
            generation += 1
            mark(Self.firstDay)
        }
    }

    /// The count that a mark brings: of the writer's events, where all of them are new.
    private func counted(by writer: Writer, _ slot: Int) -> [RollupGroup]? {
        let touching = writer.open.filter { events[$0].minute == slot }
        guard !touching.isEmpty, touching.allSatisfy(writer.new.contains) else { return nil }
        return groups(touching.map { events[$0] })
    }

    private mutating func mark(_ bucket: Int, _ groups: [RollupGroup]? = nil) {
        let isFirst = !buckets[bucket].exists
        buckets[bucket].exists = true
        buckets[bucket].rollup.version += 1
        if let groups, isFirst || variant == .countedOverExisting {
            buckets[bucket].rollup.groups = groups
            buckets[bucket].rollup.done = buckets[bucket].rollup.version
            buckets[bucket].rollup.dirty = false
        } else {
            buckets[bucket].rollup.dirty = true
        }
    }

    static let firstHour = minutes.count
    static let firstDay = firstHour + hours.count

    /// `nil` for an hour with a marked minute, and for a day with a marked hour: it has to wait.
    func count(_ bucket: Int) -> [RollupGroup]? {
        guard bucket >= Self.firstHour else { return countEvents(bucket) }
        return sum(bucket, overMarked: variant == .summedOverMarked)
    }

    private func sum(_ bucket: Int, overMarked: Bool = false) -> [RollupGroup]? {
        var parts = parts(of: bucket)
        if overMarked { for index in parts.indices { parts[index].dirty = false } }
        guard case .table(let table, _) = BucketSums.sum(bucket < Self.firstDay ? .hour : .day, of: parts) else { return nil }
        return table.sortedGroups
    }

    private func parts(of bucket: Int) -> [Rollup] {
        let isHour = bucket < Self.firstDay
        return (isHour ? 0..<Self.firstHour : Self.firstHour..<Self.firstDay).filter { part in
            buckets[part].exists && buckets[part].rollup.key.index / (isHour ? 60 : 24) == buckets[bucket].rollup.key.index
        }.map { buckets[$0].rollup }
    }

    private func countEvents(_ slot: Int) -> [RollupGroup] { groups(events.filter { $0.isStored && $0.minute == slot }) }

    private func groups(_ events: [Event]) -> [RollupGroup] {
        var counts = [Int64](repeating: 0, count: Self.types.count)
        for event in events { counts[event.type] += 1 }
        let groups = counts.indices.filter { counts[$0] > 0 }.map { RollupGroup(type: Self.types[$0], source: "s", count: counts[$0]) }
        return GroupTable(groups).sortedGroups
    }

    mutating func roll(_ bucket: Int, _ version: Int64, _ groups: [RollupGroup]) {
        let rollup = buckets[bucket].rollup
        guard rollup.done < version || variant == .rolledWithoutComparing else { return }
        if version < rollup.done { failure = failure ?? "bucket \(bucket): a count for \(version) over one for \(rollup.done)" }
        buckets[bucket].rollup.groups = groups
        buckets[bucket].rollup.done = version
        buckets[bucket].rollup.dirty = rollup.version != version
    }

    mutating func unmark(_ bucket: Int, _ version: Int64) {
        if buckets[bucket].rollup.version == version { buckets[bucket].rollup.dirty = false }
    }

    mutating func close(_ time: Timestamp) { record.closedBefore = max(record.closedBefore ?? time, time) }

    mutating func raise(_ time: Timestamp) {
        close(time)
        record.watermark = max(record.watermark ?? time, time)
    }

    /// Deletes an event where it lies below the watermark.
    mutating func delete(_ event: Int) {
        let first = variant == .deletedBeforeRaising ? record.firstOpenMinute : record.firstWholeMinute
        if Self.minutes[events[event].minute] < first { events[event].isStored = false }
    }

    mutating func happenLate(_ random: inout Seeded) {
        guard !late.isEmpty else { return }
        switch late.remove(at: random.below(late.count)) {
        case .step(let step, let writer): apply(step, writer)
        case .roll(let bucket, let version, let groups): roll(bucket, version, groups)
        case .unmark(let bucket, let version): unmark(bucket, version)
        case .close(let time): close(time)
        case .raise(let time): raise(time)
        case .delete(let event): delete(event)
        }
    }

    // MARK: At rest

    /// Lets everything come to its end and says what is wrong then, if anything is.
    mutating func rest(_ random: inout Seeded) -> String? {
        while !late.isEmpty { happenLate(&random) }
        for _ in 0..<4 {
            for bucket in buckets.indices where buckets[bucket].rollup.dirty {
                if bucket < Self.minutes.count, Self.minutes[bucket] < record.firstWholeMinute {
                    unmark(bucket, buckets[bucket].rollup.version)
                } else if let groups = count(bucket) {
                    roll(bucket, buckets[bucket].rollup.version, groups)
                }
            }
        }
        if let failure { return failure }
        for (index, bucket) in buckets.enumerated() {
            if bucket.rollup.dirty { return "bucket \(index) is still marked" }
            if let wrong = index < Self.firstHour ? wrongMinute(index) : wrongSum(index) { return "bucket \(index): \(wrong)" }
        }
        return nil
    }

    /// In open time a minute says what its events say. In all time it counts each event that was acknowledged and is not in the dead
    /// letters, and none that was never stored.
    private func wrongMinute(_ slot: Int) -> String? {
        let groups = buckets[slot].rollup.groups
        if Self.minutes[slot] >= record.firstOpenMinute, groups != countEvents(slot) {
            return "it says \(groups), the events say \(countEvents(slot))"
        }
        for (type, name) in Self.types.enumerated() {
            let own = events.filter { $0.minute == slot && $0.type == type }
            let count = groups.filter { BytewiseString($0.type) == BytewiseString(name) }.reduce(0) { $0 + $1.count }
            let least = own.count { $0.isAcknowledged && !$0.isDead }
            let most = own.count(where: \.wasStored)
            if count < least || count > most { return "type '\(name)' counts \(count), not \(least) to \(most)" }
        }
        return nil
    }

    private func wrongSum(_ bucket: Int) -> String? {
        let (groups, sum) = (buckets[bucket].rollup.groups, sum(bucket) ?? [])
        return groups == sum ? nil : "it says \(groups), its parts say \(sum)"
    }
}
