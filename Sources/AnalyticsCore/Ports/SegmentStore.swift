/// Stores segments. The core defines the format; a store sees only keys and bytes.
public protocol SegmentStore: Sendable {
    /// The heads of these days (UTC days since 1970), in order.
    func segmentHeads(of project: ProjectID, days: [Range<Int64>]) async throws(StoreError) -> [StoredSegmentHead]

    /// The revisions of all of a project's heads, by day.
    func segmentRevisions(of project: ProjectID) async throws(StoreError) -> [Int64: Int64]

    /// Writes a head if the stored one has this revision; 0 if there is none. Returns whether it was written, once it is durable.
    func writeSegmentHead(_ head: StoredSegmentHead, replacing revision: Int64) async throws(StoreError) -> Bool

    /// Durably writes blobs. An existing blob with the same key is replaced.
    func writeSegmentBlobs(_ blobs: [SegmentBlob]) async throws(StoreError)

    /// The bytes under these keys, in order; `nil` for missing ones.
    func segmentBlobs(_ keys: [SegmentBlob.Key]) async throws(StoreError) -> [[UInt8]?]

    /// Deletes the blobs of a run.
    func deleteSegmentBlobs(of project: ProjectID, day: Int64, run: Int64) async throws(StoreError)

    /// Deletes the heads and blobs of all earlier days. Returns the number of heads.
    func deleteSegments(of project: ProjectID, before day: Int64) async throws(StoreError) -> Int
}

/// The head of a day's segment, as bytes.
public struct StoredSegmentHead: Sendable, Equatable {
    public var project: ProjectID
    public var day: Int64
    /// Greater than 0; it changes with each write.
    public var revision: Int64
    public var bytes: [UInt8]

    public init(project: ProjectID, day: Int64, revision: Int64, bytes: [UInt8]) {
        self.project = project
        self.day = day
        self.revision = revision
        self.bytes = bytes
    }
}

/// A part of a segment, about 1 MiB at most.
public struct SegmentBlob: Sendable, Equatable {
    public struct Key: Sendable, Hashable {
        public var project: ProjectID
        public var day: Int64
        /// The run that it belongs to; greater than 0.
        public var run: Int64
        public var chunk: Int
        public var part: Part

        public init(project: ProjectID, day: Int64, run: Int64, chunk: Int, part: Part) {
            self.project = project
            self.day = day
            self.run = run
            self.chunk = chunk
            self.part = part
        }
    }

    /// The part of a chunk that a blob holds.
    public enum Part: Sendable, Hashable {
        case actors
        case names
        case times
        case column(Int)
        /// The links between anonymous ids and users in the whole run; stored with its first chunk.
        case links

        /// The number under which stores keep it.
        public var number: Int64 {
            switch self {
            case .actors: 0
            case .names: 1
            case .times: 2
            case .column(let index): Int64(index) + 3
            case .links: 127
            }
        }

        public init?(number: Int64) {
            switch number {
            case 0: self = .actors
            case 1: self = .names
            case 2: self = .times
            case 3..<(3 + 64): self = .column(Int(number) - 3)
            case 127: self = .links
            default: return nil
            }
        }
    }

    public var key: Key
    public var bytes: [UInt8]

    public init(key: Key, bytes: [UInt8]) {
        self.key = key
        self.bytes = bytes
    }
}
