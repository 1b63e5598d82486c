@testable import AnalyticsCore

/// The rollups' protocol as a model: flushers, three rollers, a deletion and readers take their steps in an order that a seed decides;
/// steps crash, take effect twice, or take effect late. What is pure in production is production's own: the order of marks, the sum
/// of an hour, the folding, the cover of a range.
struct RollupModel {
    /// What is changed to see that the model finds it.
    enum Variant: CaseIterable {
        case production
        case hoursMarkedBeforeMinutes
        case markedBeforeInserted
        case rolledWithoutComparing
        case countedOverExisting
    }

    enum Step: Equatable {
        case insert
        case delete
        case markMinutes([Int])
        case markHours([Int])
        case bump
    }

    /// Two minutes of one hour and one of the next.
    static let minutes: [Int64] = [0, 1, 60]
    static let hours: [Int64] = [0, 1]
    private static let types = ["a", "b"]

    struct Event {
        var minute: Int
        var type: Int
        var isStored = false
        /// Its flush has raised the generation.
        var isMarked = false
    }

    struct Bucket {
        var rollup: Rollup
        var exists = false
    }

    var events: [Event] = []
    var buckets: [Bucket]
    /// Writes that their callers gave up on, and that happen all the same.
    private var late: [Write] = []
    private var failure: String?
    private let variant: Variant

    private enum Write {
        case step(Step, Writer)
        case roll(Int, Int64, [RollupGroup])
    }

    init(_ variant: Variant) {
        self.variant = variant
        buckets = (Self.minutes + Self.hours).map {
            Bucket(rollup: Rollup(key: BucketKey(project: "p", index: $0), version: 0, done: 0, dirty: false, groups: []))
        }
    }

    // MARK: Actors

    /// Writes (or deletes) a set of events; a crash means that it begins again.
    struct Writer {
        var events: [Int]
        var steps: [Step]
        /// What the insert says that it has stored for the first time.
        var new: Set<Int> = []
        var at = 0
        var crashes = 2
        /// Whether a step may take effect once more, later. Not for what is deleted afterwards: that would be stored again, unmarked,
        /// by a write that is late by as long as events are kept.
        var mayBeLate = true
        var isDone: Bool { at == steps.count }
    }

    struct RollerState {
        var bucket: Int?
        var version: Int64 = 0
        var groups: [RollupGroup]?
        var rounds = 5
    }

    struct Reader {
        var cover: RangeCover
        var range: Range<Int64>
        var phase = 0
        var marked: [Int] = []
        var minutes: [Int] = []
        var counted: Int64 = 0
    }

    mutating func step(_ writer: inout Writer, _ random: inout Seeded) {
        let step = writer.steps[writer.at]
        if writer.crashes > 0, random.chance(15) {
            writer.crashes -= 1
            switch random.below(3) {
            case 0: break
            case 1: apply(step, writer)
            default: late.append(.step(step, writer))
            }
            writer.at = 0
            return
        }
        if step == .insert { writer.new = Set(writer.events.filter { !events[$0].isStored }) }
        apply(step, writer)
        if writer.mayBeLate, random.chance(5) { late.append(.step(step, writer)) }
        writer.at += 1
        if writer.isDone { for event in writer.events { events[event].isMarked = true } }
    }

    mutating func step(_ roller: inout RollerState, _ random: inout Seeded) {
        guard let bucket = roller.bucket else {
            let first = random.below(buckets.count)
            for offset in buckets.indices where buckets[(first + offset) % buckets.count].rollup.dirty {
                roller.bucket = (first + offset) % buckets.count
                roller.version = buckets[roller.bucket!].rollup.version
                break
            }
            roller.rounds -= 1
            return
        }
        guard let groups = roller.groups else {
            roller.groups = count(bucket)
            // An hour with a marked minute has to wait.
            if roller.groups == nil { roller.bucket = nil }
            return
        }
        roller.bucket = nil
        roller.groups = nil
        switch random.below(10) {
        case 0: break
        case 1, 2: late.append(.roll(bucket, roller.version, groups))
        default: roll(bucket, roller.version, groups)
        }
    }

    mutating func step(_ reader: inout Reader) {
        if reader.phase == 0 {
            reader.marked = events.indices.filter { events[$0].isMarked && events[$0].isStored && isInside(events[$0], reader) }
        }
        switch reader.phase {
        case 0: readHours(&reader)
        case 1: readMinutes(&reader)
        default: readEvents(&reader)
        }
        reader.phase += 1
        guard reader.phase == 3 else { return }
        let least = reader.marked.count { events[$0].isStored }
        let most = events.count { isInside($0, reader) }
        if reader.counted < least || reader.counted > most {
            failure = failure ?? "a reader of \(reader.range) counted \(reader.counted), not \(least) to \(most)"
        }
    }

    private func isInside(_ event: Event, _ reader: Reader) -> Bool { reader.range.contains(Self.minutes[event.minute]) }

    private mutating func readHours(_ reader: inout Reader) {
        for (slot, hour) in Self.hours.enumerated() where reader.cover.hours.contains(hour) {
            let bucket = buckets[Self.minutes.count + slot]
            if bucket.rollup.dirty {
                reader.minutes += Self.minutes.indices.filter { Self.minutes[$0] / 60 == hour }
            } else {
                reader.counted += bucket.rollup.groups.reduce(0) { $0 + $1.count }
            }
        }
    }

    private mutating func readMinutes(_ reader: inout Reader) {
        let sides = Self.minutes.indices.filter { slot in reader.cover.minutes.contains { $0.contains(Self.minutes[slot]) } }
        let wanted = sides + reader.minutes
        reader.minutes = wanted.filter { buckets[$0].rollup.dirty }
        for slot in wanted where !buckets[slot].rollup.dirty {
            reader.counted += buckets[slot].rollup.groups.reduce(0) { $0 + $1.count }
        }
    }

    private mutating func readEvents(_ reader: inout Reader) {
        for slot in Set(reader.minutes) { reader.counted += Int64(events.count { $0.minute == slot && $0.isStored }) }
    }

    // MARK: The store

    private mutating func apply(_ step: Step, _ writer: Writer) {
        switch step {
        case .insert: for event in writer.events { events[event].isStored = true }
        case .delete: for event in writer.events { events[event].isStored = false }
        case .markMinutes(let slots): for slot in slots { mark(slot, counted(by: writer, slot)) }
        case .markHours(let slots): for slot in slots { mark(Self.minutes.count + slot) }
        case .bump: break
        }
    }

    /// The count that a mark brings: of the writer's events, where all of them are new.
    private func counted(by writer: Writer, _ slot: Int) -> [RollupGroup]? {
        let touching = writer.events.filter { events[$0].minute == slot }
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

    private func count(_ bucket: Int) -> [RollupGroup]? {
        guard bucket >= Self.minutes.count else { return countEvents(bucket) }
        let hour = Self.hours[bucket - Self.minutes.count]
        let minutes = Self.minutes.indices.filter { buckets[$0].exists && Self.minutes[$0] / 60 == hour }.map { buckets[$0].rollup }
        return minutes.contains(where: \.dirty) ? nil : Roller.sum(minutes)
    }

    private func countEvents(_ slot: Int) -> [RollupGroup] { groups(events.filter { $0.isStored && $0.minute == slot }) }

    private func groups(_ events: [Event]) -> [RollupGroup] {
        var counts = [Int64](repeating: 0, count: Self.types.count)
        for event in events { counts[event.type] += 1 }
        let groups = counts.indices.filter { counts[$0] > 0 }.map { RollupGroup(type: Self.types[$0], source: "s", count: counts[$0]) }
        return GroupFolding.fold(groups)
    }

    private mutating func roll(_ bucket: Int, _ version: Int64, _ groups: [RollupGroup]) {
        let rollup = buckets[bucket].rollup
        guard rollup.done < version || variant == .rolledWithoutComparing else { return }
        if version < rollup.done { failure = failure ?? "bucket \(bucket): a count for \(version) over one for \(rollup.done)" }
        buckets[bucket].rollup.groups = groups
        buckets[bucket].rollup.done = version
        buckets[bucket].rollup.dirty = rollup.version != version
    }

    mutating func happenLate(_ random: inout Seeded) {
        guard !late.isEmpty else { return }
        switch late.remove(at: random.below(late.count)) {
        case .step(let step, let writer): apply(step, writer)
        case .roll(let bucket, let version, let groups): roll(bucket, version, groups)
        }
    }

    // MARK: At rest

    /// Lets everything come to its end and says what is wrong then, if anything is.
    mutating func rest(_ random: inout Seeded) -> String? {
        while !late.isEmpty { happenLate(&random) }
        for _ in 0..<4 {
            for bucket in buckets.indices where buckets[bucket].rollup.dirty {
                if let groups = count(bucket) { roll(bucket, buckets[bucket].rollup.version, groups) }
            }
        }
        if let failure { return failure }
        for (index, bucket) in buckets.enumerated() {
            if bucket.rollup.dirty { return "bucket \(index) is still marked" }
            let truth =
                index < Self.minutes.count
                ? countEvents(index)
                : Roller.sum(
                    Self.minutes.indices.map { slot in
                        var minute = buckets[slot].rollup
                        minute.groups = countEvents(slot)
                        return minute
                    }.filter { $0.key.hour.index == Self.hours[index - Self.minutes.count] })
            if bucket.rollup.groups != truth { return "bucket \(index) says \(bucket.rollup.groups), the events say \(truth)" }
        }
        return nil
    }
}
