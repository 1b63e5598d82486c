internal import AnalyticsCore
public import Hummingbird
internal import NIOCore

/// Data about a request that is not in the request itself.
public struct APIRequestContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// The IP address of the other end of the connection.
    var peerAddress: String?
    /// The caller that waits for the response.
    let asker: Asker
    let connection: ClientConnection
    /// Taken by the request; paused while its body is read.
    var slot: RequestSlots.Slot?

    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peerAddress = source.channel.remoteAddress?.ipAddress
        connection = ClientConnection(source.channel)
        asker = connection.asker
    }

    /// A part of the path, decoded; empty if it is not UTF-8.
    func pathParameter(_ name: String) -> String {
        parameters.get(name).flatMap { PercentEncoding.decode($0, plusIsSpace: false) } ?? ""
    }
}
