internal import AnalyticsCore
public import Hummingbird
internal import NIOCore

/// What is known about a request besides the request.
public struct APIRequestContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// Whose events the request writes or reads. The one place that decides it: a key will, once there are keys.
    var project: String
    /// The other end of the connection.
    var peerAddress: String?
    /// Who waits for the answer.
    let asker: Asker

    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        project = Project.default
        peerAddress = source.channel.remoteAddress?.ipAddress
        asker = Asker(source.channel)
    }
}
