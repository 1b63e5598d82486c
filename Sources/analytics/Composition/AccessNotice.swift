internal import AnalyticsCore
internal import Logging

/// Says at the start who may use the service, and what to do next.
enum AccessNotice {
    static func log(_ settings: ServerSettings, _ latch: AnonymousLatch, _ logger: Logger) async throws(StoreError) {
        guard try await !latch.isClosed() else {
            logger.notice("Requests need a key or a session")
            return
        }
        let next: Logger.Metadata = ["host": "\(settings.host)", "next": "analytics keys create --project default --scope write"]
        if !settings.allowsAnonymous, ServerSettings.isLoopback(settings.host) {
            logger.notice(
                "Requests need a key, also on this machine, because ADMIN_TOKEN is set; no key or account was made yet", metadata: next)
        } else if !settings.allowsAnonymous {
            logger.warning("Requests need a key, and no key or account was made yet", metadata: next)
        } else if ServerSettings.isLoopback(settings.host) {
            logger.notice(
                "No key or account was made yet: everyone on this machine may do everything in the project default", metadata: next)
        } else {
            logger.warning(
                "No key or account was made yet: everyone who reaches HOST may do everything in the project default", metadata: next)
        }
    }
}
