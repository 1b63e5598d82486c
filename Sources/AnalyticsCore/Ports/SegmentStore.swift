/// Keeps segments: what they are made of is the core's, a store sees keys and bytes.
public protocol SegmentStore: Sendable {
    /// The heads of these days (UTC, since 1970), in their order.
    func segmentHeads(of project: ProjectID, days: [Range<Int64>]) async throws(StoreError) -> [StoredSegmentHead]

    /// The revisions of all of a project's heads, by their days.
    func segmentRevisions(of project: ProjectID) async throws(StoreError) -> [Int64: Int64]

    /// Writes a head in the place of the one that has this revision; 0 where there is none. Returns whether that was so, when it is durable.
    func writeSegmentHead(_ head: StoredSegmentHead, replacing revision: Int64) async throws(StoreError) -> Bool

    /// Writes blobs, durably. What is there under a key is replaced.
    func writeSegmentBlobs(_ blobs: [SegmentBlob]) async throws(StoreError)

    /// The bytes under these keys, in their order; `nil` where there are none.
    func segmentBlobs(_ keys: [SegmentBlob.Key]) async throws(StoreError) -> [[UInt8]?]

    /// Deletes the blobs of a run.
    func deleteSegmentBlobs(of project: ProjectID, day: Int64, run: Int64) async throws(StoreError)

    /// Deletes the heads and all blobs of the days before this one. Returns how many heads there were.
    func deleteSegments(of project: ProjectID, before day: Int64) async throws(StoreError) -> Int
}

/// The head of a day's segment, as bytes.
public struct StoredSegmentHead: Sendable, Equatable {
    public var project: ProjectID
    public var day: Int64
    /// Above 0, and another one with each change.
    public var revision: Int64
    public var bytes: [UInt8]

    public init(project: ProjectID, day: Int64, revision: Int64, bytes: [UInt8]) {
        self.project = project
        self.day = day
        self.revision = revision
        self.bytes = bytes
    }
}

/// A part of a segment, at most about 1 MiB.
public struct SegmentBlob: Sendable, Equatable {
    public struct Key: Sendable, Hashable {
        public var project: ProjectID
        public var day: Int64
        /// The run that it belongs to, above 0.
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

    /// What of a chunk it holds.
    public enum Part: Sendable, Hashable {
        case actors
        case names
        case times
        case column(Int)
        /// Of the whole run: which anonymous ids its events join with which users. Under its first chunk.
        case links

        /// As stores write it.
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
