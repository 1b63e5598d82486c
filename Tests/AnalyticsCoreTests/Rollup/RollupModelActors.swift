import TestSupport

@testable import AnalyticsCore

/// Those who act on the model's store, a step at a time.
extension RollupModel {
    /// A flush of a set of events. A crash means that it begins again, with all of them.
    struct Writer {
        var events: [Int]
        /// The marks of all of them; a flush without a mark of a minute that none of its open events touches does no harm either.
        var steps: [Step]
        var at = 0
        var crashes = 2
        /// What it may insert.
        var open: [Int] = []
        /// What the insert says that it has stored for the first time.
        var new: Set<Int> = []
        /// What was closed while it was written and is neither known to be counted nor to be expired.
        var pending: [Int]?
        /// Buckets of the minutes of what is pending, as they were read.
        var read: [Rollup]?
        var expired: Set<Int> = []
        var isDone: Bool { at == steps.count }
    }

    struct RollerState {
        var bucket: Int?
        var version: Int64 = 0
        var groups: [RollupGroup]?
        var isExpired = false
        var isReadAgain = false
        var rounds = 6
    }

    struct Sweeper {
        var record: ProjectRecord?
        var oldestMarked: Int64?
        var hasLooked = false
        var deletions = 0
        var rounds = 8
    }

    struct Reader {
        var cover: RangeDecomposition
        var range: Range<Int64>
        var phase = 0
        var generation = 0
        /// Events that were acknowledged before it began.
        var acknowledged: [Int] = []
        var hours: [Int] = []
        var minutes: [Int] = []
        /// What the events of the marked minutes said.
        var live: [(slot: Int, count: Int64)] = []
        var counted: Int64 = 0
        static let phases = 6
    }

    // MARK: Flushes

    mutating func step(_ writer: inout Writer, _ random: inout Seeded) {
        let step = writer.steps[writer.at]
        if writer.crashes > 0, random.chance(15) {
            writer.crashes -= 1
            switch random.below(3) {
            case 0: break
            case 1: apply(step, writer)
            default: late.append(.step(step, writer))
            }
            (writer.at, writer.pending, writer.read) = (0, nil, nil)
            return
        }
        switch step {
        case .admit:
            let closed = writer.events.filter { Self.minutes[events[$0].minute] < record.firstOpenMinute }
            writer.expired = Set(closed)
            writer.open = writer.events.filter { !writer.expired.contains($0) }
        case .insert: writer.new = Set(writer.open.filter { !events[$0].isStored })
        case .confirm: guard confirm(&writer) else { return }
        default: break
        }
        apply(step, writer)
        if random.chance(5) { late.append(.step(step, writer)) }
        writer.at += 1
        guard writer.isDone else { return }
        for event in writer.events {
            events[event].isAcknowledged = true
            if writer.expired.contains(event) { events[event].isDead = true }
        }
    }

    /// A read at a time, as ``RetentionGate/confirm(_:_:)`` makes them. Returns whether nothing is pending.
    private func confirm(_ writer: inout Writer) -> Bool {
        guard variant != .notConfirmed else { return true }
        guard let pending = writer.pending else {
            writer.pending = writer.open.filter { Self.minutes[events[$0].minute] < record.firstOpenMinute }
            return writer.pending == []
        }
        guard let read = writer.read else {
            writer.read = buckets.map(\.rollup)
            return false
        }
        writer.read = nil
        // Once more where the watermark has passed one of them. Atomic with the watermark's read: what comes between only raises `done`.
        let isCut = pending.contains { Self.minutes[events[$0].minute] < record.firstWholeMinute }
        let known = isCut ? buckets.map(\.rollup) : read
        writer.pending = pending.filter { event in
            let bucket = known[events[event].minute]
            switch RetentionGate.fate(of: bucket.key, BucketVersion(bucket), record) {
            case .counted: return false
            case .pending: return true
            case .expired:
                writer.expired.insert(event)
                return false
            }
        }
        return writer.pending == []
    }

    // MARK: Rollers

    mutating func step(_ roller: inout RollerState, _ random: inout Seeded) {
        guard let bucket = roller.bucket else { return pick(&roller, &random) }
        if roller.isExpired {
            finish(&roller, .unmark(bucket, roller.version), &random)
        } else if let groups = roller.groups {
            if !roller.isReadAgain, bucket < Self.minutes.count, variant != .rolledWithoutReadingAgain {
                roller.isReadAgain = true
                if Self.minutes[bucket] < record.firstWholeMinute { (roller.bucket, roller.groups) = (nil, nil) }
            } else {
                finish(&roller, .roll(bucket, roller.version, groups), &random)
            }
        } else {
            roller.groups = count(bucket)
            if roller.groups == nil { roller.bucket = nil }
        }
    }

    private func pick(_ roller: inout RollerState, _ random: inout Seeded) {
        roller.rounds -= 1
        let first = random.below(buckets.count)
        guard let bucket = buckets.indices.map({ (first + $0) % buckets.count }).first(where: { buckets[$0].rollup.dirty }) else { return }
        roller = RollerState(bucket: bucket, version: buckets[bucket].rollup.version, rounds: roller.rounds)
        guard bucket < Self.minutes.count, Self.minutes[bucket] < record.firstWholeMinute else { return }
        if variant == .unmarkedByRolling { roller.groups = buckets[bucket].rollup.groups } else { roller.isExpired = true }
        roller.isReadAgain = variant == .unmarkedByRolling
    }

    private mutating func finish(_ roller: inout RollerState, _ write: Late, _ random: inout Seeded) {
        roller = RollerState(rounds: roller.rounds)
        let draw = random.below(10)
        if draw > 0 { late.append(write) }
        guard draw > 2 else { return }
        late.removeLast()
        switch write {
        case .roll(let bucket, let version, let groups): roll(bucket, version, groups)
        case .unmark(let bucket, let version): unmark(bucket, version)
        default: break
        }
    }

    // MARK: Sweepers

    /// `target`: where the retention of the moment says that time is to be closed.
    mutating func step(_ sweeper: inout Sweeper, target: Timestamp, _ random: inout Seeded) {
        if random.chance(10) {
            sweeper = Sweeper(rounds: sweeper.rounds - 1)
            return
        }
        guard let known = sweeper.record else {
            sweeper.record = record
            if variant == .deletedBeforeRaising || record.watermark != nil { sweeper.deletions = random.below(6) }
            return
        }
        if known.closedBefore != known.watermark || variant == .closedAfterLooking, !sweeper.hasLooked {
            sweeper.oldestMarked = Self.minutes.indices.first { buckets[$0].rollup.dirty }.map { Self.minutes[$0] }
            sweeper.hasLooked = true
            if variant == .closedAfterLooking { sweeper.record?.closedBefore = max(known.closedBefore ?? target, target) }
        } else if sweeper.hasLooked, let time = sweeper.watermark(variant) {
            if variant == .deletedBeforeRaising, sweeper.deletions > 0 { return deleteOne(&sweeper, &random) }
            if random.chance(20) { late.append(.raise(time)) } else { raise(time) }
            sweeper.record?.watermark = time
            sweeper.deletions = max(sweeper.deletions, random.below(6))
        } else if sweeper.deletions > 0 {
            deleteOne(&sweeper, &random)
        } else {
            if target > record.closedBefore ?? target - .seconds(1) {
                if random.chance(20) { late.append(.close(target)) } else { close(target) }
            }
            sweeper = Sweeper(rounds: sweeper.rounds - 1)
        }
    }

    private mutating func deleteOne(_ sweeper: inout Sweeper, _ random: inout Seeded) {
        sweeper.deletions -= 1
        let event = random.below(events.count)
        if random.chance(10) { late.append(.delete(event)) } else { delete(event) }
    }

    // MARK: Readers

    mutating func step(_ reader: inout Reader) {
        switch reader.phase {
        case 0:
            reader.acknowledged = events.indices.filter { events[$0].isAcknowledged && !events[$0].isDead && isInside(events[$0], reader) }
            reader.generation = generation
            if let cached = cache[CacheKey(generation: generation, range: reader.range)] {
                (reader.counted, reader.phase) = (cached, Reader.phases - 1)
            }
        case 1: readDays(&reader)
        case 2: readHours(&reader)
        case 3: readMinutes(&reader)
        case 4: for slot in Set(reader.minutes) { reader.live.append((slot, Int64(events.count { $0.minute == slot && $0.isStored }))) }
        default: readAgain(&reader)
        }
        reader.phase += 1
        guard reader.phase == Reader.phases else { return }
        let most = events.count { isInside($0, reader) && $0.wasStored }
        if reader.counted < reader.acknowledged.count || reader.counted > most {
            failure = failure ?? "a reader of \(reader.range) counted \(reader.counted), not \(reader.acknowledged.count) to \(most)"
        }
        cache[CacheKey(generation: reader.generation, range: reader.range)] = reader.counted
    }

    private func isInside(_ event: Event, _ reader: Reader) -> Bool { reader.range.contains(Self.minutes[event.minute]) }

    private func readDays(_ reader: inout Reader) {
        for (slot, day) in Self.days.enumerated() where reader.cover.days.contains(where: { $0.contains(day) }) {
            let bucket = buckets[Self.firstDay + slot]
            if bucket.rollup.dirty {
                reader.hours += Self.hours.indices.filter { Self.hours[$0] / 24 == day }
            } else {
                reader.counted += bucket.rollup.total
            }
        }
    }

    private func readHours(_ reader: inout Reader) {
        for (slot, hour) in Self.hours.enumerated() {
            guard reader.hours.contains(slot) || reader.cover.hours.contains(where: { $0.contains(hour) }) else { continue }
            let bucket = buckets[Self.minutes.count + slot]
            if bucket.rollup.dirty {
                reader.minutes += Self.minutes.indices.filter { Self.minutes[$0] / 60 == hour }
            } else {
                reader.counted += bucket.rollup.total
            }
        }
    }

    private func readMinutes(_ reader: inout Reader) {
        let sides = Self.minutes.indices.filter { slot in reader.cover.minutes.contains { $0.contains(Self.minutes[slot]) } }
        let wanted = sides + reader.minutes
        reader.minutes = wanted.filter { buckets[$0].rollup.dirty }
        for slot in wanted where !buckets[slot].rollup.dirty { reader.counted += buckets[slot].rollup.total }
    }

    /// The watermark, and the rollups of what lies below it.
    private func readAgain(_ reader: inout Reader) {
        for (slot, count) in reader.live {
            let isExpired = Self.minutes[slot] < record.firstWholeMinute && variant != .answeredWithoutReadingAgain
            reader.counted += isExpired ? buckets[slot].rollup.total : count
        }
    }
}

extension RollupModel.Sweeper {
    fileprivate func watermark(_ variant: RollupModel.Variant) -> Timestamp? {
        record.flatMap { RetentionPlan.raise($0, oldestMarked: variant == .raisedPastMarked ? nil : oldestMarked) }
    }
}

extension Rollup {
    fileprivate var total: Int64 { groups.reduce(0) { $0 + $1.count } }
}
