public import AnalyticsCore

extension MongoStore {
    public func write(_ cells: [PipelineCell]) async throws(StoreError) {
        guard !cells.isEmpty else { return }
        try await run(.writePipeline) { session throws(StoreError) in
            let taken = try session.write(cells, inserting: true)
            // A stored cell may be newer, or older if it was inserted at the same time.
            guard try session.write(taken, inserting: false).isEmpty else {
                throw StoreError(.unavailable, operation: session.operation, "an id was taken by an update")
            }
        }
    }

    public func pipelineCells(of project: ProjectID, minutes: Range<Int64>) async throws(StoreError) -> [PipelineCell] {
        guard !minutes.isEmpty else { return [] }
        return try await run(.pipelineCells) { session throws(StoreError) in
            var cells: [PipelineCell] = []
            try session.find(.pipeline, [("_id", Key.buckets(.minute, project, minutes))], [("sort", ["_id": 1])]) {
                row throws(StoreError) in
                guard let cell = PipelineCell(row) else { throw session.damage(.pipeline) }
                cells.append(cell)
            }
            return cells
        }
    }
}

extension Session {
    /// Returns the cells whose ids were taken.
    fileprivate func write(_ cells: [PipelineCell], inserting: Bool) throws(StoreError) -> [PipelineCell] {
        guard !cells.isEmpty else { return [] }
        let reply = try bulk(.pipeline) { bulk throws(StoreError) in
            for cell in cells {
                let filter = try encode([("_id", Key.pipeline(cell)), ("revision", ["$lt": .integer(cell.revision)])])
                let update = try encode([("$set", .document(cell.fields))])
                if inserting { try bulk.upsert(filter, update) } else { try bulk.updateMany(filter, update) }
            }
        }
        var taken: [PipelineCell] = []
        for failure in reply.writeErrors {
            guard failure.isTakenId, cells.indices.contains(failure.index) else { throw failure.error.storeError(in: operation) }
            taken.append(cells[failure.index])
        }
        return taken
    }
}

extension PipelineCell {
    fileprivate var fields: [(String, BSON)] {
        [
            ("revision", .integer(revision)), ("counts", .document(counts.fields.map { ($0.name, .integer($0.value)) })),
            ("at", .date(BucketKind.minute.start(of: minute + 1))),
        ]
    }

    fileprivate init?(_ row: BSONView) {
        guard let id = row["_id"]?.document, let key = BucketKind.minute.key(id), let writer = id["writer"]?.string,
            let revision = row["revision"]?.integer, let stored = row["counts"]?.document
        else { return nil }
        var fields: [(name: String, value: Int64)] = []
        for element in stored {
            guard let value = element.integer else { return nil }
            fields.append((element.key, value))
        }
        guard let counts = PipelineCounts(fields: fields) else { return nil }
        self.init(project: key.project, minute: key.index, writer: writer, revision: revision, counts: counts)
    }
}
