internal import AnalyticsCore
internal import Logging

/// Warns at the start if a project's stored retention, which is used, differs from `RETENTION_DAYS`.
enum RetentionNotice {
    /// Projects listed in the warning.
    private static let limit = 5

    static func log(_ settings: Settings, _ store: any ProjectStore, _ logger: Logger) async throws(StoreError) {
        guard let days = settings.retentionDays else { return }
        let others = try await store.projectRecords().filter { $0.retentionDays ?? days != days }.sorted { $0.project < $1.project }
        guard let first = others.first else { return }
        let stored = others.prefix(limit).map { "\($0.project): \($0.retentionDays ?? 0)" }.joined(separator: ", ")
        logger.warning(
            "RETENTION_DAYS differs from the stored retention, which is used",
            metadata: [
                "RETENTION_DAYS": "\(days)", "stored": "\(stored)\(others.count > limit ? ", …" : "")",
                "change": "analytics retention set \(days) --project \(first.project)",
            ])
    }
}
