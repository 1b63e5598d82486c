internal import Algorithms
public import Logging
public import ServiceLifecycle
internal import Synchronization

/// What this process counts of each minute of acceptance, and the writes of it.
///
/// An API counts what it accepts, and writes in the background, as a service, every second and at its end: nothing waits for it. A
/// processor writes what a flush has settled before it acknowledges (``Flush``).
public final class PipelineLedger: Service {
    public struct Key: Hashable, Sendable {
        public var project: ProjectID
        public var minute: Int64
    }

    fileprivate struct Cell {
        var writer: String
        var counts = PipelineCounts()
        var revision: Int64 = 0
        var hasChanged = false
        /// Writes under way.
        var writes = 0
        /// Raised with each change of any cell: which was changed last.
        var touched = 0
    }

    fileprivate struct State {
        var cells: [Key: Cell] = [:]
        var changes = 0
        var isFull = false
    }

    /// Cells in memory, where the store takes none. What belongs to further ones is not counted.
    static let maximumCells = 20_000
    /// Cells that are written are kept up to this number, since they may change again.
    static let keptCells = 10_000
    private static let cellsAtATime = 500
    static let interval: Duration = .seconds(1)
    private static let patience: Duration = .seconds(3)

    private let store: any PipelineStore
    private let ids: IDGenerator
    private let elapsed: ElapsedClock
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter ids: Each cell that is begun has one, so that no two cells are ever written under one name.
    public init(store: any PipelineStore, ids: IDGenerator, elapsed: ElapsedClock = .system, logger: Logger) {
        self.store = store
        self.ids = ids
        self.elapsed = elapsed
        self.logger = logger
    }

    /// Writes every second what has changed, and once more at the end.
    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { [self] in await writeChanges() }
        await writeChanges()
    }

    /// Adds to what is counted, or takes away what was counted too soon.
    func add(_ counts: [Key: PipelineCounts], times sign: Int64 = 1) {
        for (key, own) in counts { change(key) { $0.add(own, times: sign) } }
    }

    /// Changes what is counted of a minute.
    func change(_ key: Key, _ edit: (inout PipelineCounts) -> Void) {
        let hasFilled = state.withLock { state in
            let wasFull = state.isFull
            state.change(key, ids, edit)
            return state.isFull && !wasFull
        }
        if hasFilled { logger.warning("Counts of the pipeline dropped: the store takes none") }
    }

    /// Returns when what is counted of these cells is durable.
    func write(_ keys: [Key]) async throws(StoreError) {
        let cells = state.withLock { state in keys.compactMap { state.begin($0) } }
        guard !cells.isEmpty else { return }
        do throws(StoreError) {
            try await store.write(cells)
            state.withLock { $0.end(keys, isWritten: true) }
        } catch {
            state.withLock { $0.end(keys, isWritten: false) }
            throw error
        }
    }

    /// One try; the next comes in a second.
    func writeChanges() async {
        let changed = state.withLock { state in state.cells.filter(\.value.hasChanged).keys.sorted { $0.minute < $1.minute } }
        do throws(StoreError) {
            // What many of them take may be more than there is time for, and then none would ever be written.
            for some in changed.chunks(ofCount: Self.cellsAtATime) {
                try await Deadline.within(Self.patience) { () throws(StoreError) in try await write(Array(some)) }
            }
        } catch {
            logger.info("Counts of the pipeline not written yet", metadata: ["error": "\(error)"])
        }
    }

    /// For tests.
    var cells: Int { state.withLock { $0.cells.count } }
}

extension PipelineLedger.State {
    fileprivate mutating func change(_ key: PipelineLedger.Key, _ ids: IDGenerator, _ edit: (inout PipelineCounts) -> Void) {
        if cells[key] == nil {
            guard cells.count < PipelineLedger.maximumCells else {
                isFull = true
                return
            }
            cells[key] = PipelineLedger.Cell(writer: ids.next())
        }
        guard let index = cells.index(forKey: key) else { return }
        changes += 1
        edit(&cells.values[index].counts)
        cells.values[index].hasChanged = true
        cells.values[index].touched = changes
    }

    /// What is written of a cell; `nil` where it is not there.
    fileprivate mutating func begin(_ key: PipelineLedger.Key) -> PipelineCell? {
        guard var cell = cells[key] else { return nil }
        cell.revision += 1
        cell.hasChanged = false
        cell.writes += 1
        cells[key] = cell
        return PipelineCell(
            project: key.project, minute: key.minute, writer: cell.writer, revision: cell.revision, counts: cell.counts)
    }

    fileprivate mutating func end(_ keys: [PipelineLedger.Key], isWritten: Bool) {
        for key in keys {
            cells[key]?.writes -= 1
            if !isWritten { cells[key]?.hasChanged = true }
        }
        guard cells.count > PipelineLedger.keptCells else { return }
        // What changes again begins a cell of another name.
        let idle = cells.filter { !$0.value.hasChanged && $0.value.writes == 0 }.sorted { $0.value.touched < $1.value.touched }
        for (key, _) in idle.prefix(cells.count - PipelineLedger.keptCells / 2) { cells[key] = nil }
        isFull = cells.count >= PipelineLedger.maximumCells
    }
}
