internal import Algorithms
public import Logging
public import ServiceLifecycle
internal import Synchronization

/// Counts events by minute of acceptance in this process, and writes the counts to the store.
///
/// An API counts what it accepts, and writes in the background every second and at shutdown; nothing waits for it. A processor writes what
/// a flush has settled before it acknowledges (``Flush``).
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
        /// Writes in progress.
        var writes = 0
        /// Set to a new, higher number by each change.
        var touched = 0
    }

    fileprivate struct State {
        var cells: [Key: Cell] = [:]
        var changes = 0
        var isFull = false
    }

    /// Maximum number of cells in memory. If the store accepts no writes, events of further cells are not counted.
    static let maximumCells = 20_000
    /// Number of written cells that are kept, as they may change again.
    static let keptCells = 10_000
    private static let cellsAtATime = 500
    static let interval: Duration = .seconds(1)
    private static let patience: Duration = .seconds(3)

    private let store: any PipelineStore
    private let ids: IDGenerator
    private let elapsed: ElapsedClock
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter ids: Each new cell gets an id, so no two cells are written under one name.
    public init(store: any PipelineStore, ids: IDGenerator, elapsed: ElapsedClock = .system, logger: Logger) {
        self.store = store
        self.ids = ids
        self.elapsed = elapsed
        self.logger = logger
    }

    /// Writes changes every second, and once more at shutdown.
    public func run() async throws {
        await elapsed.repeating(every: Self.interval) { [self] in await writeChanges() }
        await writeChanges()
    }

    /// Adds counts, or subtracts counts that were added too early.
    func add(_ counts: [Key: PipelineCounts], times sign: Int64 = 1) {
        for (key, own) in counts { change(key) { $0.add(own, times: sign) } }
    }

    /// Changes the counts of a minute.
    func change(_ key: Key, _ edit: (inout PipelineCounts) -> Void) {
        let hasFilled = state.withLock { state in
            let wasFull = state.isFull
            state.change(key, ids, edit)
            return state.isFull && !wasFull
        }
        if hasFilled { logger.warning("Pipeline counts dropped: the store accepts no writes") }
    }

    /// Returns when the counts of these cells are durable.
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

    /// One attempt; ``run()`` makes the next.
    func writeChanges() async {
        let changed = state.withLock { state in state.cells.filter(\.value.hasChanged).keys.sorted { $0.minute < $1.minute } }
        do throws(StoreError) {
            // In parts: all cells together may exceed the deadline, and then none would ever be written.
            for some in changed.chunks(ofCount: Self.cellsAtATime) {
                try await Deadline.within(Self.patience) { () throws(StoreError) in try await write(Array(some)) }
            }
        } catch {
            logger.info("Pipeline counts not written, retrying", metadata: ["error": "\(error)"])
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

    /// The content of a cell to write; `nil` if it does not exist.
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
        // A later change of such a minute begins a cell with a new name.
        let idle = cells.filter { !$0.value.hasChanged && $0.value.writes == 0 }.sorted { $0.value.touched < $1.value.touched }
        for (key, _) in idle.prefix(cells.count - PipelineLedger.keptCells / 2) { cells[key] = nil }
        isFull = cells.count >= PipelineLedger.maximumCells
    }
}
