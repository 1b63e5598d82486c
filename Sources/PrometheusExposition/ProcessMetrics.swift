#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension PrometheusRegistry {
    /// Exposes the process' memory, processor time, file descriptors and start time under the common names of Prometheus clients
    /// (`process_…`).
    ///
    /// They are read from `/proc` at each scrape. Without `/proc` (outside Linux), nothing is exposed.
    public func exposeProcessMetrics() {
        for descriptor in ProcessMetrics.descriptors { declare(descriptor) }
        onScrape { samples in ProcessMetrics.collect(into: &samples) }
    }
}

enum ProcessMetrics {
    static let descriptors = [
        MetricDescriptor(name: "process_cpu_seconds_total", kind: .counter, help: "User and system processor time in seconds."),
        MetricDescriptor(name: "process_resident_memory_bytes", kind: .gauge, help: "Resident memory in bytes."),
        MetricDescriptor(name: "process_virtual_memory_bytes", kind: .gauge, help: "Virtual memory in bytes."),
        MetricDescriptor(name: "process_start_time_seconds", kind: .gauge, help: "Start of the process, in seconds since the epoch."),
        MetricDescriptor(name: "process_open_fds", kind: .gauge, help: "Open file descriptors."),
        MetricDescriptor(name: "process_max_fds", kind: .gauge, help: "File descriptors that the process may have open."),
    ]

    #if os(Linux)
        /// Computed once: it depends on the boot time, which moves when the clock is set, and each move would look like a restart.
        private static let startTime: Double? = {
            guard let stat = ProcFiles.read("/proc/self/stat").flatMap(ProcessStat.init),
                let boot = ProcFiles.read("/proc/stat").flatMap(ProcFiles.bootTime)
            else { return nil }
            return boot + Double(stat.startTicks) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }()
    #endif

    static func collect(into samples: inout ScrapeSamples) {
        #if os(Linux)
            if let stat = ProcFiles.read("/proc/self/stat").flatMap(ProcessStat.init) {
                let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
                samples.set("process_cpu_seconds_total", to: Double(stat.processorTicks) / ticks)
                samples.set("process_resident_memory_bytes", to: Double(stat.residentPages) * Double(sysconf(Int32(_SC_PAGESIZE))))
                samples.set("process_virtual_memory_bytes", to: Double(stat.virtualBytes))
                if let startTime { samples.set("process_start_time_seconds", to: startTime) }
            }
            if let open = ProcFiles.openDescriptors() { samples.set("process_open_fds", to: Double(open)) }
            if let limit = ProcFiles.read("/proc/self/limits").flatMap(ProcFiles.maximumDescriptors) {
                samples.set("process_max_fds", to: limit)
            }
        #endif
    }
}

/// The exposed fields of `/proc/self/stat`, numbered as in proc(5).
struct ProcessStat: Equatable {
    let processorTicks: UInt64
    let startTicks: UInt64
    let virtualBytes: UInt64
    let residentPages: UInt64

    /// nil if the text does not match proc(5).
    init?(_ text: String) {
        // Field 2, the command, may contain blanks and parentheses, so fields are counted from the last closing parenthesis.
        guard let end = text.utf8.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = text.utf8[end...].dropFirst().split(separator: UInt8(ascii: " ")).map(Substring.init)
        func field(_ number: Int) -> UInt64? {
            let index = number - 3
            return fields.indices.contains(index) ? UInt64(fields[index]) : nil
        }
        guard let user = field(14), let system = field(15), let start = field(22), let virtual = field(23), let resident = field(24) else {
            return nil
        }
        processorTicks = user + system
        startTicks = start
        virtualBytes = virtual
        residentPages = resident
    }
}

enum ProcFiles {
    /// The machine's boot time in seconds since the epoch, from `/proc/stat`.
    static func bootTime(_ text: String) -> Double? {
        fields(ofLineStarting: "btime ", in: text)?.first.flatMap { Double($0) }
    }

    /// The soft limit, from `/proc/self/limits`; infinite for "unlimited".
    static func maximumDescriptors(_ text: String) -> Double? {
        fields(ofLineStarting: "Max open files", in: text)?.first.flatMap { $0 == "unlimited" ? .infinity : Double($0) }
    }

    private static func fields(ofLineStarting prefix: String, in text: String) -> [Substring]? {
        text.utf8.split(separator: UInt8(ascii: "\n")).first { $0.starts(with: prefix.utf8) }?
            .dropFirst(prefix.utf8.count).split(separator: UInt8(ascii: " ")).map(Substring.init)
    }

    #if os(Linux)
        /// Files in `/proc` report a size of zero, so they are read to their end.
        static func read(_ path: String) -> String? {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            defer { close(descriptor) }
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 16 * 1024)
            while true {
                #if canImport(Glibc)
                    let count = Glibc.read(descriptor, &chunk, chunk.count)
                #else
                    let count = Musl.read(descriptor, &chunk, chunk.count)
                #endif
                if count < 0 { return nil }
                if count == 0 { return String(decoding: bytes, as: UTF8.self) }
                bytes += chunk[..<count]
            }
        }

        /// The entries of `/proc/self/fd` without `.`, `..` and the descriptor used for reading.
        static func openDescriptors() -> Int? {
            guard let directory = opendir("/proc/self/fd") else { return nil }
            defer { closedir(directory) }
            var entries = 0
            while readdir(directory) != nil { entries += 1 }
            return max(0, entries - 3)
        }
    #endif
}
