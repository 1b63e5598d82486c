package import AnalyticsCore
internal import Synchronization

extension MemoryStore {
    package func segmentHeads(of project: ProjectID, days: [Range<Int64>]) async throws(StoreError) -> [StoredSegmentHead] {
        try await read("segmentHeads") { state in
            state.segmentHeads.values.filter { head in head.project == project && days.contains { $0.contains(head.day) } }
                .sorted { $0.day < $1.day }
        }
    }

    package func segmentRevisions(of project: ProjectID) async throws(StoreError) -> [Int64: Int64] {
        try await read("segmentRevisions") { state in
            let own = state.segmentHeads.values.filter { $0.project == project }
            return Dictionary(uniqueKeysWithValues: own.map { ($0.day, $0.revision) })
        }
    }

    package func writeSegmentHead(_ head: StoredSegmentHead, replacing revision: Int64) async throws(StoreError) -> Bool {
        if let hook = hooks.withLock({ $0.beforeHead }) { await hook() }
        return try write(.segment) { state in
            let key = BucketKey(project: head.project, index: head.day)
            guard state.segmentHeads[key]?.revision ?? 0 == revision else { return false }
            state.segmentHeads[key] = head
            return true
        }
    }

    package func writeSegmentBlobs(_ blobs: [SegmentBlob]) async throws(StoreError) {
        try write(.segment) { state in
            for blob in blobs { state.segmentBlobs[blob.key] = blob.bytes }
        }
    }

    package func segmentBlobs(_ keys: [SegmentBlob.Key]) async throws(StoreError) -> [[UInt8]?] {
        try await read("segmentBlobs") { state in keys.map { state.segmentBlobs[$0] } }
    }

    package func deleteSegmentBlobs(of project: ProjectID, day: Int64, run: Int64) async throws(StoreError) {
        try write(.segment) { state in
            state.segmentBlobs = state.segmentBlobs.filter { ($0.key.project, $0.key.day, $0.key.run) != (project, day, run) }
        }
    }

    package func deleteSegments(of project: ProjectID, before day: Int64) async throws(StoreError) -> Int {
        try write(.segment) { state in
            let before = state.segmentHeads.count
            state.segmentHeads = state.segmentHeads.filter { $0.key.project != project || $0.key.index >= day }
            state.segmentBlobs = state.segmentBlobs.filter { $0.key.project != project || $0.key.day >= day }
            return before - state.segmentHeads.count
        }
    }
}
