package import AnalyticsCore
internal import Synchronization

/// Reports and attempts; both stay for as long as the store does.
extension MemoryStore {
    package func add(_ reports: [DeliveryReport]) async throws(StoreError) {
        try write(.report) { state in
            for report in reports where !state.reports.contains(where: { $0.isSame(report) }) { state.reports.append(report) }
        }
    }

    package func reports(project: ProjectID, request: String) async throws(StoreError) -> [DeliveryReport] {
        try await read("reports") { state in
            state.reports.filter { $0.project == project && $0.request.equalsUTF8(request) }.sorted { $0.first < $1.first }
        }
    }

    package func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int {
        try write(.beginAttempt) { state in
            state.attempts[BytewiseString(delivery), default: []].insert(BytewiseString(process))
            return state.attempts[BytewiseString(delivery), default: []].count - 1
        }
    }

    package func forgetAttempts(on delivery: String) async throws(StoreError) {
        try write(.forgetAttempts) { $0.attempts[BytewiseString(delivery)] = nil }
    }
}

/// Counts of the pipeline stay, too.
extension MemoryStore {
    package func write(_ cells: [PipelineCell]) async throws(StoreError) {
        if let hook = hooks.withLock({ $0.beforePipeline }) { await hook(cells) }
        try write(.pipeline) { state in
            for cell in cells {
                let name = PipelineCellName(
                    minute: BucketKey(project: cell.project, index: cell.minute), writer: BytewiseString(cell.writer))
                if state.pipeline[name]?.revision ?? .min < cell.revision { state.pipeline[name] = cell }
            }
        }
    }

    package func pipelineCells(of project: ProjectID, minutes: Range<Int64>) async throws(StoreError) -> [PipelineCell] {
        try await read("pipelineCells") { state in
            state.pipeline.filter { $0.key.minute.project == project && minutes.contains($0.key.minute.index) }
                .sorted { ($0.key.minute.index, $0.key.writer) < ($1.key.minute.index, $1.key.writer) }.map(\.value)
        }
    }
}

extension DeliveryReport {
    fileprivate func isSame(_ other: Self) -> Bool {
        project == other.project && request.equalsUTF8(other.request) && first == other.first
    }
}
