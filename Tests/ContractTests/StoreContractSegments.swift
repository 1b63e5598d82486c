import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: segments", .timeLimit(.minutes(3)))
struct StoreContractSegments {
    private func head(_ day: Int64, _ revision: Int64, _ bytes: [UInt8] = [1], of project: ProjectID = "p") -> StoredSegmentHead {
        StoredSegmentHead(project: project, day: day, revision: revision, bytes: bytes)
    }

    private func blob(
        _ bytes: [UInt8], of project: ProjectID = "p", day: Int64 = 5, run: Int64 = 1, chunk: Int = 0, part: SegmentBlob.Part = .actors
    ) -> SegmentBlob {
        SegmentBlob(key: .init(project: project, day: day, run: run, chunk: chunk, part: part), bytes: bytes)
    }

    @Test("a head is written in the place of the one that was read, or not at all", arguments: StoreBackend.available)
    func heads(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let all = [Int64(-1_000)..<Int64(30_000)]
            #expect(try await store.segmentHeads(of: "p", days: all) == [])
            #expect(try await store.writeSegmentHead(head(5, 1, []), replacing: 0))
            #expect(try await !store.writeSegmentHead(head(5, 1, [9]), replacing: 0))
            #expect(try await !store.writeSegmentHead(head(5, 3, [9]), replacing: 2))
            #expect(try await !store.writeSegmentHead(head(6, 2, [9]), replacing: 1))
            let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0) }
            #expect(try await store.writeSegmentHead(head(5, 2, large), replacing: 1))
            #expect(try await !store.writeSegmentHead(head(5, 2, [9]), replacing: 1))
            #expect(try await store.writeSegmentHead(head(-3, 1), replacing: 0))
            #expect(try await store.writeSegmentHead(head(20_000, 1, [0, 255]), replacing: 0))
            #expect(try await store.writeSegmentHead(head(5, 1, [7], of: "q"), replacing: 0))
            #expect(try await store.segmentHeads(of: "p", days: all) == [head(-3, 1), head(5, 2, large), head(20_000, 1, [0, 255])])
            #expect(try await store.segmentHeads(of: "p", days: [20_000..<20_001, -3..<(-2), 7..<7]).map(\.day) == [-3, 20_000])
            #expect(try await store.segmentHeads(of: "p", days: []) == [])
            #expect(try await store.segmentRevisions(of: "p") == [-3: 1, 5: 2, 20_000: 1])
            #expect(try await store.segmentRevisions(of: "r") == [:])
            #expect(try await store.segmentHeads(of: "q", days: [5..<6]) == [head(5, 1, [7], of: "q")])
        }
    }

    @Test("of many that write a head at once one succeeds", arguments: StoreBackend.available)
    func oneHead(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for revision in 0..<5 as Range<Int64> {
                let written: [Int] = try await withThrowingTaskGroup(of: Int.self) { group in
                    for writer in 0..<8 as Range<UInt8> {
                        group.addTask {
                            try await store.writeSegmentHead(head(1, revision + 1, [writer]), replacing: revision) ? Int(writer) : -1
                        }
                    }
                    return try await group.reduce(into: []) { if $1 >= 0 { $0.append($1) } }
                }
                #expect(written.count == 1)
                #expect(try await store.segmentHeads(of: "p", days: [1..<2]).map(\.bytes) == written.map { [UInt8($0)] })
            }
        }
    }

    @Test("blobs come back under their keys, in the order asked for", arguments: StoreBackend.available)
    func blobs(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let large = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let blobs = [
                blob([1, 0, 2]), blob([], part: .names), blob(large, part: .times), blob([3], part: .column(0)),
                blob([4], part: .column(63)),
                blob([5], chunk: 1), blob([6], run: 1 << 61), blob([10], part: .links), blob([7], day: -7), blob([8], of: "q"),
                blob([9], run: 2, chunk: 70_000),
            ]
            try await store.writeSegmentBlobs(blobs)
            try await store.writeSegmentBlobs([])
            #expect(try await store.segmentBlobs(blobs.map(\.key)) == blobs.map(\.bytes))
            #expect(try await store.segmentBlobs(blobs.reversed().map(\.key)) == blobs.reversed().map(\.bytes))
            #expect(try await store.segmentBlobs([]) == [])
            let missing = blob([], run: 3).key
            #expect(try await store.segmentBlobs([blobs[0].key, missing, blobs[0].key]) == [blobs[0].bytes, nil, blobs[0].bytes])
            try await store.writeSegmentBlobs([blob([1, 1])])
            #expect(try await store.segmentBlobs([blobs[0].key]) == [[1, 1]])
            // More than one query asks for.
            let many = (0..<1_300).map { blob([UInt8(truncatingIfNeeded: $0)], day: 9, chunk: $0) }
            try await store.writeSegmentBlobs(many)
            #expect(try await store.segmentBlobs(many.reversed().map(\.key)) == many.reversed().map(\.bytes))
        }
    }

    @Test("a run is deleted, or all before a day, and nothing else", arguments: StoreBackend.available)
    func deletion(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var blobs: [SegmentBlob] = []
            for project in ["p", "q"] as [ProjectID] {
                for day in [-2, 4, 5] as [Int64] {
                    for run in [1, 2, 1 << 60] as [Int64] {
                        for chunk in 0..<3 { blobs += [blob([1], of: project, day: day, run: run, chunk: chunk, part: .column(chunk))] }
                    }
                    #expect(try await store.writeSegmentHead(head(day, 1, of: project), replacing: 0))
                }
            }
            try await store.writeSegmentBlobs(blobs)
            func left() async throws -> [SegmentBlob.Key] {
                let found = try await store.segmentBlobs(blobs.map(\.key))
                return zip(blobs, found).filter { $0.1 != nil }.map(\.0.key)
            }
            try await store.deleteSegmentBlobs(of: "p", day: 5, run: 2)
            try await store.deleteSegmentBlobs(of: "p", day: 5, run: 7)
            var expected = blobs.map(\.key).filter { ($0.project, $0.day, $0.run) != ("p", 5, 2) }
            #expect(try await left() == expected)
            #expect(try await store.deleteSegments(of: "p", before: 5) == 2)
            #expect(try await store.deleteSegments(of: "p", before: 5) == 0)
            expected.removeAll { $0.project == "p" && $0.day < 5 }
            #expect(try await left() == expected)
            #expect(try await store.segmentHeads(of: "p", days: [-9..<9]).map(\.day) == [5])
            #expect(try await store.segmentHeads(of: "q", days: [-9..<9]).map(\.day) == [-2, 4, 5])
        }
    }

    @Test("versions are those of the marks", arguments: StoreBackend.available)
    func versions(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for tier in RollupTier.allCases {
                try await store.mark(tier, [key(5), key(-5), key(7)])
                try await store.mark(tier, [key(7)])
                let rollups = try await store.rollups(tier, project: "p", in: [-9..<9], byteLimit: .max).rollups
                let expected = Dictionary(uniqueKeysWithValues: rollups.map { ($0.key.index, $0.version) })
                #expect(expected.count == 3)
                #expect(try await store.versions(tier, project: "p", in: [-9..<9]) == expected)
                #expect(try await store.versions(tier, project: "p", in: [6..<9, 5..<6]) == expected.filter { $0.key > 0 })
                #expect(try await store.versions(tier, project: "p", in: []) == [:])
                #expect(try await store.versions(tier, project: "q", in: [-9..<9]) == [:])
            }
        }
    }

    @Test("a project's properties are kept", arguments: StoreBackend.available)
    func properties(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let paths = try ["data.plan", "data.e\u{301}.é", "context.page.path", "data.\u{FEFF}\"'\\,\n"].map { try PropertyPath($0) }
            try await store.setProperties(of: "p", to: paths)
            #expect(try await store.newestRecords(of: ["p"]).map(\.properties) == [paths])
            #expect(try await store.projectRecords().map(\.properties) == [paths])
            try await store.setRetention(of: "p", days: 3, at: noon)
            try await store.setProperties(of: "p", to: [])
            #expect(try await store.newestRecords(of: ["p"]) == [ProjectRecord(project: "p", retentionDays: 3, changedAt: noon)])
        }
    }
}
