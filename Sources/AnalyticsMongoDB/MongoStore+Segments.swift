import Algorithms
public import AnalyticsCore

extension MongoStore {
    public func segmentHeads(of project: ProjectID, days: [Range<Int64>]) async throws(StoreError) -> [StoredSegmentHead] {
        let ranges = Ranges.normalised(days)
        guard !ranges.isEmpty else { return [] }
        return try await run(.segmentHeads) { session throws(StoreError) in
            var heads: [StoredSegmentHead] = []
            for query in Ranges.queries(ranges) {
                let alternatives: [BSON] = query.map { ["_id": Key.buckets(.day, project, $0)] }
                try session.find(.segments, [("$or", .array(alternatives))], [("sort", ["_id": 1])]) { row throws(StoreError) in
                    guard let key = row["_id"]?.document.flatMap(BucketKind.day.key), let revision = row["revision"]?.integer,
                        let bytes = row["head"]?.binary
                    else { throw session.damage(.segments) }
                    heads.append(StoredSegmentHead(project: project, day: key.index, revision: revision, bytes: bytes))
                }
            }
            return heads
        }
    }

    public func segmentRevisions(of project: ProjectID) async throws(StoreError) -> [Int64: Int64] {
        try await run(.segmentRevisions) { session throws(StoreError) in
            var revisions: [Int64: Int64] = [:]
            let days = Key.buckets(.day, project, RollupTier.day.allIndexes)
            try session.find(.segments, [("_id", days)], [("projection", ["revision": 1])]) { row throws(StoreError) in
                guard let key = row["_id"]?.document.flatMap(BucketKind.day.key), let revision = row["revision"]?.integer else {
                    throw session.damage(.segments)
                }
                revisions[key.index] = revision
            }
            return revisions
        }
    }

    public func writeSegmentHead(_ head: StoredSegmentHead, replacing revision: Int64) async throws(StoreError) -> Bool {
        try await run(.writeSegmentHead) { session throws(StoreError) in
            let id = Key.bucket(.day, BucketKey(project: head.project, index: head.day))
            let fields: [(String, BSON)] = [("revision", .integer(head.revision)), ("head", .binary(head.bytes))]
            let reply = try session.bulk(.segments) { bulk throws(StoreError) in
                if revision == 0 {
                    try bulk.insert(session.encode([("_id", id)] + fields))
                } else {
                    try bulk.updateMany(
                        session.encode([("_id", id), ("revision", .integer(revision))]), session.encode([("$set", .document(fields))]))
                }
            }
            if let failure = reply.writeErrors.first {
                if failure.isTakenId { return false }
                throw failure.error.storeError(in: session.operation)
            }
            return revision == 0 || reply.matched == 1
        }
    }

    public func writeSegmentBlobs(_ blobs: [SegmentBlob]) async throws(StoreError) {
        guard !blobs.isEmpty else { return }
        try await run(.writeSegmentBlobs) { session throws(StoreError) in
            let reply = try session.bulk(.segmentBlobs) { bulk throws(StoreError) in
                for blob in blobs {
                    try bulk.upsert(
                        session.encode([("_id", Key.blob(blob.key))]), session.encode([("$set", ["bytes": .binary(blob.bytes)])]))
                }
            }
            if let error = reply.writeErrors.first?.error { throw error.storeError(in: session.operation) }
        }
    }

    public func segmentBlobs(_ keys: [SegmentBlob.Key]) async throws(StoreError) -> [[UInt8]?] {
        guard !keys.isEmpty else { return [] }
        return try await run(.segmentBlobs) { session throws(StoreError) in
            var found: [SegmentBlob.Key: [UInt8]] = [:]
            for chunk in keys.chunks(ofCount: Ranges.alternatives) {
                let filter: [(String, BSON)] = [("_id", ["$in": .array(chunk.map(Key.blob))])]
                try session.find(.segmentBlobs, filter, []) { row throws(StoreError) in
                    guard let key = row["_id"]?.document.flatMap(SegmentBlob.Key.init), let bytes = row["bytes"]?.binary else {
                        throw session.damage(.segmentBlobs)
                    }
                    found[key] = bytes
                }
            }
            return keys.map { found[$0] }
        }
    }

    public func deleteSegmentBlobs(of project: ProjectID, day: Int64, run number: Int64) async throws(StoreError) {
        try await run(.deleteSegments) { session throws(StoreError) in
            _ = try session.remove(
                .segmentBlobs, ["$gte": Key.blobs(project, day: day, run: number), "$lt": Key.blobs(project, day: day, run: number + 1)])
        }
    }

    public func deleteSegments(of project: ProjectID, before day: Int64) async throws(StoreError) -> Int {
        try await run(.deleteSegments) { session throws(StoreError) in
            let days = Key.buckets(.day, project, RollupTier.day.indexes.lowerBound..<day)
            try session.remove(.segmentBlobs, days)
            return try session.remove(.segments, days)
        }
    }
}

extension Key {
    /// Times are dates, as in all keys, so that blobs of a day are adjacent and people can find them.
    static func blob(_ key: SegmentBlob.Key) -> BSON {
        blobs(
            key.project, day: key.day, run: key.run,
            rest: [("chunk", .integer(Int64(key.chunk))), ("part", .integer(key.part.number))])
    }

    /// A bound for a run's keys: a document sorts before all documents that it is a prefix of.
    static func blobs(_ project: ProjectID, day: Int64, run: Int64, rest: [(String, BSON)] = []) -> BSON {
        .document(
            [("project", .string(project.name)), ("day", .date(BucketKind.day.start(of: day))), ("run", .integer(run))] + rest)
    }
}

extension SegmentBlob.Key {
    /// `nil` for a document that this adapter did not write.
    fileprivate init?(_ id: BSONView) {
        guard let key = BucketKind.day.key(id), let run = id["run"]?.integer, let chunk = id["chunk"]?.integer,
            let part = id["part"]?.integer.flatMap(SegmentBlob.Part.init(number:))
        else { return nil }
        self.init(project: key.project, day: key.index, run: run, chunk: Int(chunk), part: part)
    }
}

extension Session {
    @discardableResult
    fileprivate func remove(_ collection: CollectionName, _ ids: BSON) throws(StoreError) -> Int {
        let reply = try bulk(collection) { bulk throws(StoreError) in try bulk.removeMany(encode([("_id", ids)])) }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        return Int(reply.removed)
    }
}
