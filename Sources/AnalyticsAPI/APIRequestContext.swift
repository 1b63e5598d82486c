internal import AnalyticsCore
public import Hummingbird
internal import NIOCore

/// What is known about a request besides the request.
public struct APIRequestContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// The other end of the connection.
    var peerAddress: String?
    /// Who waits for the answer.
    let asker: Asker
    let connection: ClientConnection

    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peerAddress = source.channel.remoteAddress?.ipAddress
        connection = ClientConnection(source.channel)
        asker = connection.asker
    }
}
