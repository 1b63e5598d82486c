/// Answers questions: from the cache if the generation of the range is unchanged, else from the store.
public struct QueryEngine: Sendable {
    private let store: any RollupStore & ProjectStore & EventScanner & SegmentStore & ProofStore
    private let cache: QuestionCache
    private let gate: QueryGate
    private let dirtyMinutes: DirtyMinuteCache
    private let liveMinutes: LiveMinutes
    private let interest: LiveInterest
    private var identities: IdentityIndex
    private let recent = RecentAnswers()
    private let dayTallies = DayTallies()
    private let keptDays = KeptDays()
    private var source = AnswerSource.stored

    /// Up to this many days, a range is used as given. A longer range is clamped to the stored events.
    private static let longestAsAsked: Int64 = 500
    /// How often the start of the stored events is looked up when it moves during the read.
    static let readings = 2
    /// 1972-01-01. Before it, zone offsets may cut minutes, and each cut needs queries of its own. Earlier ranges are clamped to the
    /// stored events.
    private static let wholeQuarters = Timestamp(day: 730)

    public init(store: any RollupStore & ProjectStore & EventScanner & SegmentStore & ProofStore, cache: any CountCache, gate: QueryGate) {
        self.init(store: store, cache: cache, gate: gate, largeMinute: LiveMinutes.worthKeeping)
    }

    /// - Parameter largeMinute: Events beyond which the data read of a minute is kept while the minute changes.
    init(
        store: any RollupStore & ProjectStore & EventScanner & SegmentStore & ProofStore, cache: any CountCache, gate: QueryGate,
        largeMinute: Int, elapsed: ElapsedClock = .system
    ) {
        self.store = store
        self.cache = QuestionCache(cache: cache, gate: gate)
        self.gate = gate
        interest = LiveInterest(elapsed: elapsed)
        dirtyMinutes = DirtyMinuteCache(store: store, interest: interest, largeMinute: largeMinute)
        liveMinutes = LiveMinutes(store: store, interest: interest, worthKeeping: largeMinute)
        identities = IdentityIndex(store: store, gate: gate)
        RollupMetrics.prepare()
    }

    /// The answer, and whether it came from the cache.
    func answer<Q: Question>(
        to question: Q, for asker: Asker = .staying
    ) async throws -> (answer: Q.Answer, cached: Bool) where Q.Reducer: GroupReducer {
        guard let range = try await range(of: question.selection) else {
            return (try question.reducer(over: .nothing).answer(), false)
        }
        return try await answer(to: question, over: range, for: asker) {
            var reader = RollupReader(store, dirtyMinutes, keptDays, question.selection, question.reducer(over: range), from: source)
            try await reader.read(range)
            return try reader.reducer.answer()
        }
    }

    /// The same for a time series. Unchanged days are not read again.
    func answer(to question: RolledTimeseries, for asker: Asker = .staying) async throws -> (answer: Timeseries, cached: Bool) {
        guard let range = try await range(of: question.selection) else {
            return (try question.reducer(over: .nothing).answer(), false)
        }
        return try await answer(to: question, over: range, for: asker) {
            var reader = RollupReader(store, dirtyMinutes, keptDays, question.selection, question.reducer(over: range), from: source)
            if case .stored = source { try await reader.read(range, keeping: dayTallies) } else { try await reader.read(range) }
            return try reader.reducer.answer()
        }
    }

    /// The same for a question about rows. Throws an ``ExpiredRangeError`` if events of the range may have been deleted.
    func answer<Q: RowQuestion>(to question: Q, for asker: Asker = .staying) async throws -> (answer: Q.Answer, cached: Bool) {
        guard let range = try await range(of: question.selection) else {
            return (try question.reducer(over: .nothing).answer(), false)
        }
        for _ in 0..<Self.readings {
            do {
                return try await answer(to: question, reading: range, for: asker)
            } catch let error as ExpiredRangeError where error.reason == .untoldBefore && question.reading(over: range).from == nil {
                // The first event has been deleted since.
                continue
            }
        }
        return try await answer(to: question, reading: range, for: asker)
    }

    private func answer<Q: RowQuestion>(
        to question: Q, reading range: Range<Timestamp>, for asker: Asker
    ) async throws -> (answer: Q.Answer, cached: Bool) {
        let project = question.selection.project
        var prepared = question.reducer(over: range)
        let reading = try await bounds(of: question.reading(over: range), project)
        if let record = source.record {
            // Before the identities are read: they may be newer than the versions, never older.
            try await asker.whileWaiting { try await gate(for: project) { try await record.begin(reading, of: project, in: store) } }
        }
        async let generation = generation(of: reading, project)
        // Events outside the range may join users, so the cache key includes the digest of the identities.
        let identities = prepared.isByActor ? try await identities.map(of: project, for: asker) : .empty
        if prepared.isByActor { source.record?.add(identities: identities.digest) }
        prepared.know(identities)
        let empty = prepared
        return try await answer(
            to: question, over: range, reading: reading, at: try await generation, under: identities.digest, for: asker
        ) {
            let reader = RowReader(
                store: store, selection: question.selection, range: reading, identities: identities, source: source,
                actors: question.actors(identities), liveMinutes: liveMinutes)
            let reducer = try await reader.read(into: empty)
            try await store.checkUncut(project, from: range.lowerBound, reading: reading.lowerBound)
            return try reducer.answer()
        }
    }

    /// Read before the computation: an answer cached under it is at least as new.
    private func generation(of reading: Range<Timestamp>, _ project: ProjectID) async throws(StoreError) -> Int64 {
        guard case .stored = source else { return 0 }
        return try await store.generation(project: project, days: reading.days)
    }

    /// - Parameter reading: As in ``QuestionCache``.
    private func answer<Q: Question>(
        to question: Q, over range: Range<Timestamp>, reading: Range<Timestamp>? = nil, at generation: Int64? = nil,
        under digest: Int64 = 0, for asker: Asker, _ compute: @escaping @Sendable () async throws -> Q.Answer
    ) async throws -> (answer: Q.Answer, cached: Bool) {
        if case .stored = source {
            let read = if let generation { generation } else { try await self.generation(of: range, question.selection.project) }
            return try await cache.answer(to: question, over: range, reading: reading, at: read, under: digest, for: asker, compute)
        }
        let answer = try await asker.whileWaiting {
            try await gate(for: question.selection.project) {
                try await source.record?.begin(reading ?? range, of: question.selection.project, in: store)
                if case .events(let record) = source { record?.add(reading ?? range) }
                return try await compute()
            }
        }
        return (answer, false)
    }

    /// Reads all events of a selection, without the cache of answers.
    func read<Reducer: GroupReducer>(_ selection: Selection, into reducer: Reducer, for asker: Asker) async throws -> Reducer.Answer {
        guard let range = try await range(of: selection) else { return try reducer.answer() }
        return try await asker.whileWaiting {
            try await gate(for: selection.project) {
                var reader = RollupReader(store, dirtyMinutes, keptDays, selection, reducer)
                try await reader.read(range)
                return try reader.reducer.answer()
            }
        }
    }

    /// Clamped to the times that an event can have. Open ends are replaced by those of the stored events.
    private func bounds(of reading: Reading, _ project: ProjectID) async throws -> Range<Timestamp> {
        var (from, to) = (reading.from, reading.to)
        if from == nil || to == nil {
            let first = try await store.newestRecords(of: [project]).first?.firstWholeMinute ?? .min
            let days = try await store.extent(project: project)?.days ?? 0..<1
            from = from ?? max(Timestamp(day: days.lowerBound), Timestamp(minute: max(first, Timestamp.earliest.minute)))
            to = to ?? Timestamp(day: days.upperBound)
        }
        let start = min(max(from ?? .earliest, .earliest), .latest)
        return start..<max(start + .milliseconds(1), min(to ?? .latest, .latest + .milliseconds(1)))
    }

    /// Updates the kept data of the present minute and the one before it, for projects with recent questions. Does nothing while
    /// questions wait.
    func keepUp(at now: Timestamp) async {
        guard !interest.isEmpty, gate.load.waiting == 0 else { return }
        let minutes = now.minute - 1..<now.minute + 1
        // After a failure, the next question reads the data itself.
        try? await gate(for: nil) {
            try await dirtyMinutes.keepUp(minutes)
            try await liveMinutes.keepUp(minutes)
        }
    }

    func identityMap(of project: ProjectID, for asker: Asker) async throws -> IdentityMap {
        try await identities.map(of: project, for: asker)
    }

    /// The first moment of a project whose events are all stored; `nil` if none have been deleted.
    func firstStored(of project: ProjectID) async throws -> Timestamp? {
        guard let record = try await store.newestRecords(of: [project]).first, record.watermark != nil else { return nil }
        return Timestamp(minute: record.firstWholeMinute)
    }

    /// An answer that may be some seconds old.
    func recent<Answer: Sendable>(
        _ selection: Selection, _ keyParts: [String], _ age: AnswerAge, for asker: Asker, size: @escaping @Sendable (Answer) -> Int,
        _ compute: @escaping @Sendable () async throws -> (answer: Answer, cached: Bool)
    ) async throws -> Answered<Answer> {
        guard case .stored = source else {
            let (answer, _) = try await compute()
            return Answered(answer: answer, isCached: false, asOf: age.now)
        }
        let range = [selection.from, selection.to].map { $0.map { String($0.milliseconds) } ?? "" }
        let key = Digest.hexadecimal(of: [selection.project.name] + range + selection.keyParts + keyParts)
        return try await recent.answer(key, age, for: asker, size: size, compute)
    }

    /// The time zone for a project's questions that name none; `nil` if the project has none.
    public func timeZone(of project: ProjectID) async throws(StoreError) -> ZoneName? {
        try await store.newestRecords(of: [project]).first?.timeZone
    }

    /// The range of the question. It is clamped to the stored events if it is open or long, or if all of it is read from the events.
    /// `nil` when it is empty.
    private func range(of selection: Selection) async throws -> Range<Timestamp>? {
        if let from = selection.from, let to = selection.to {
            guard from < to else { return nil }
            if to.day - from.day <= Self.longestAsAsked, from >= Self.wholeQuarters, selection.isToldByRollups { return from..<to }
        }
        guard let extent = try await store.extent(project: selection.project) else { return nil }
        // Whole days, which are read as day buckets.
        let days = extent.days
        let (first, end) = (Timestamp(day: days.lowerBound), Timestamp(day: days.upperBound))
        let from = max(selection.from ?? first, first)
        let to = min(selection.to ?? end, end)
        return from < to ? from..<to : nil
    }
}

extension Range<Timestamp> {
    fileprivate static let nothing = Timestamp(milliseconds: 0)..<Timestamp(milliseconds: 0)

    /// The UTC days that the range touches.
    var days: Range<Int64> { lowerBound.day..<Timestamp(milliseconds: upperBound.milliseconds - 1).day + 1 }
}

/// The data that answers are computed from.
enum AnswerSource: Sendable {
    case stored
    /// The same without the cache of answers. Each read is recorded.
    case recorded(ReadingRecord)
    /// The events alone; rollups only for minutes whose events are deleted.
    case events(ReadingRecord?)

    var record: ReadingRecord? { if case .recorded(let record) = self { record } else { nil } }
    var isEvents: Bool { if case .events = self { true } else { false } }
}

// MARK: - Proofs

extension QueryEngine {
    /// An engine that computes each answer and records what it reads.
    public func recording(_ record: ReadingRecord) -> QueryEngine {
        var engine = self
        engine.source = .recorded(record)
        return engine
    }

    /// An engine that counts from the events. The record gets the ranges that it counts.
    public func recounting(_ record: ReadingRecord? = nil) -> QueryEngine {
        var engine = self
        engine.source = .events(record)
        engine.identities = IdentityIndex(store: store, gate: gate, isFromEvents: true)
        return engine
    }

    /// A digest that changes when the project's identities change.
    public func identities(of project: ProjectID) async throws -> Int64 {
        try await identities.map(of: project, for: .staying).digest
    }

    /// The sealed proof of an answer that was computed with this record.
    public func proof(
        of question: String, project: ProjectID, asOf: Timestamp, answer: String, zones: String?, _ record: ReadingRecord
    ) async throws -> [UInt8] {
        let watermark = try await store.newestRecords(of: [project]).first?.watermark
        let key = try await store.proofKey(orElse: Proof.newKey())
        let proof = Proof(
            of: question, project: project, asOf: asOf, answer: answer, watermark: watermark, zones: zones, record)
        return proof.text(record, key: key)
    }
}
