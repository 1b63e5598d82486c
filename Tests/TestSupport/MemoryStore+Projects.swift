package import AnalyticsCore

extension MemoryStore {
    package func projectRecords() async throws(StoreError) -> [ProjectRecord] {
        try await read("projectRecords") { Array($0.records.values) }
    }

    package func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] {
        try await read("newestRecords") { state in projects.compactMap { state.records[$0] } }
    }

    package func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError) {
        try edit(project) { if $0.retentionDays == nil { ($0.retentionDays, $0.changedAt) = (retentionDays, time) } }
    }

    package func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError) {
        try edit(project) { ($0.retentionDays, $0.changedAt) = (days, time) }
    }

    package func setTimeZone(of project: ProjectID, to zone: ZoneName) async throws(StoreError) {
        try edit(project) { $0.timeZone = zone }
    }

    package func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError) {
        try edit(project) { $0.properties = paths }
    }

    package func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError) {
        try edit(project) { $0.hasVisitorIds = isOn }
    }

    package func createProject(_ project: ProjectID, at time: Timestamp) async throws(StoreError) -> Bool {
        try write(.record) { state in
            guard state.records[project] == nil else { return false }
            state.records[project] = ProjectRecord(project: project, createdAt: time)
            return true
        }
    }

    package func setTitle(of project: ProjectID, to title: String) async throws(StoreError) {
        try edit(project) { $0.title = title }
    }

    package func setArchived(of project: ProjectID, at time: Timestamp?) async throws(StoreError) {
        try edit(project) { $0.archivedAt = time }
    }

    package func setOrigins(of project: ProjectID, to origins: [String]) async throws(StoreError) {
        try edit(project) { $0.origins = origins }
    }

    package func setRates(of project: ProjectID, to rates: ProjectRates) async throws(StoreError) {
        try edit(project) { $0.rates = rates }
    }

    package func visitorSecret(of day: Int64, orElse drawn: [UInt8]) async throws(StoreError) -> [UInt8] {
        try write(.record) { state in
            let secret = state.visitorSecrets[day] ?? drawn
            state.visitorSecrets[day] = secret
            return secret
        }
    }

    package func deleteVisitorSecrets(before day: Int64) async throws(StoreError) {
        try write(.record) { state in state.visitorSecrets = state.visitorSecrets.filter { $0.key >= day } }
    }

    package func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError) {
        try edit(project) { $0.closedBefore = max($0.closedBefore ?? time, time) }
    }

    package func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError) {
        try edit(project) {
            $0.closedBefore = max($0.closedBefore ?? time, time)
            $0.watermark = max($0.watermark ?? time, time)
        }
    }

    package func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int {
        try write(.delete) { state in
            guard let watermark = state.records[project]?.watermark else { return 0 }
            let expired = state.events.filter { $0.key.project == project && $0.value.event.timestamp < watermark }
            let oldest = expired.sorted { $0.value.event.timestamp < $1.value.event.timestamp }.prefix(max(0, limit))
            for (key, _) in oldest { state.events[key] = nil }
            return oldest.count
        }
    }

    package func proofKey(orElse draft: [UInt8]) async throws(StoreError) -> [UInt8] {
        try write(.record) { state in
            let key = state.proofKey ?? draft
            state.proofKey = key
            return key
        }
    }

    private func edit(_ project: ProjectID, _ body: (inout ProjectRecord) -> Void) throws(StoreError) {
        try write(.record) { body(&$0.records[project, default: ProjectRecord(project: project)]) }
    }
}
