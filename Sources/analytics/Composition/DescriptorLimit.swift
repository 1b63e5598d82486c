internal import Foundation

/// How many files and connections this process may have open, and what follows for connections.
enum DescriptorLimit {
    /// Raises it as far as it may be raised without rights (setrlimit(2)): shells and systemd give 1,024 to programs that use select(2), which this one
    /// does not. Returns what it is then.
    static func raise() -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 1_024 }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if setrlimit(resource, &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }

    static let mostConnections = 4_096

    /// Connections of the API, so that with them there are descriptors for all else: backends and their files, event loops (three each), gRPC's and the
    /// operations' 64 connections each.
    static func connections(of descriptors: Int, processors: Int = ProcessInfo.processInfo.processorCount) -> Int {
        min(mostConnections, max(descriptors - 256 - 4 * processors, descriptors / 2))
    }
}
