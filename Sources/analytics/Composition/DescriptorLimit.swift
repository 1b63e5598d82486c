internal import Foundation

/// The limit of open files and connections of this process, and the connection limit that follows from it.
enum DescriptorLimit {
    /// Raises the soft limit to the hard limit (setrlimit(2)) and returns it. Shells and systemd set 1,024 for programs that use select(2);
    /// this one does not.
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

    /// The connection limit of the API. It leaves descriptors for everything else: backends and their files, event loops (three each), and
    /// 64 connections each for gRPC and operations.
    static func connections(of descriptors: Int, processors: Int = ProcessInfo.processInfo.processorCount) -> Int {
        min(mostConnections, max(descriptors - 256 - 4 * processors, descriptors / 2))
    }
}
