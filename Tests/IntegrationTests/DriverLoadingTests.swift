import Foundation
import Testing

/// libmongoc makes a file in /dev/shm when it is loaded, removes it at the end, and writes to stderr when the file is there already:
/// kill -9 used to leave one, and a later process with the same number found it.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct DriverLoadingTests {
    @Test("A service without MongoDB does not load its driver, nor what only the driver needs")
    func embeddedLoadsNoDriver() async throws {
        let service = try await ServiceProcess.serve(try .embedded())
        defer { service.terminate() }
        let libraries = try await Self.libraries(service)
        #expect(libraries.contains { $0.hasPrefix("libsqlite3.so") }, "\(libraries)")
        for name in ["libmongoc-1.0", "libmongocrypt", "libsasl2", "libicuuc", "libsnappy"] {
            #expect(!libraries.contains { $0.hasPrefix(name) }, "\(libraries)")
        }
    }

    @Test("A wrong setting ends with one line although a killed process of the same number left the driver's file")
    func staleSharedMemory() async throws {
        let stale = try StaleFiles()
        defer { stale.remove() }
        let process = try ServiceProcess(["serve"], backends: try .embedded(), settings: ["PORT": "http"])
        #expect(process.waitUntilExit() != 0)
        #expect(stale.processIDs.contains(process.processID), "no file for \(process.processID): this shows nothing")
        let lines = process.output().split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.contains("PORT=http") == true, "\(process.output())")
    }

    @Test("kill -9 of a service with MongoDB leaves nothing in /dev/shm", .enabled(if: TestServices.areThere))
    func killLeavesNothing() async throws {
        let service = try await ServiceProcess.serve(try await .real())
        let libraries = try await Self.libraries(service)
        #expect(libraries.contains { $0.hasPrefix("libmongoc-1.0.so") }, "\(libraries)")
        service.kill()
        #expect(!FileManager.default.fileExists(atPath: StaleFiles.path(service.processID)))
    }

    @Test("A driver that cannot be loaded ends the start with one line that names it")
    func missingDriver() async throws {
        let backends = try TestBackends.embedded()
        try "no library".write(to: backends.directory.appending(path: "libmongoc-1.0.so.0"), atomically: true, encoding: .utf8)
        let process = try ServiceProcess(
            ["serve"], backends: backends,
            settings: ["MONGODB_URI": "mongodb://127.0.0.1:1/x", "LD_LIBRARY_PATH": backends.directory.path])
        #expect(process.waitUntilExit() == 1)
        let lines = process.output().split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.contains("libmongoc-1.0.so.0") == true, "\(process.output())")
    }

    /// Names of the shared libraries that a process has mapped.
    private static func libraries(_ service: ServiceProcess) async throws -> Set<String> {
        let maps = try await Command.run("/bin/cat", ["/proc/\(service.processID)/maps"]).output
        return Set(maps.split(separator: "\n").compactMap { $0.split(separator: "/").last.map(String.init) }.filter { $0.contains(".so") })
    }
}

/// What killed processes leave behind, for the numbers that the next processes get.
private struct StaleFiles {
    let processIDs: [Int32]

    static func path(_ processID: Int32) -> String { "/dev/shm/mongoc-\(processID)" }

    init() throws {
        // proc(5): the last field is the number of the process made last.
        let load = try String(contentsOfFile: "/proc/loadavg", encoding: .utf8).split { $0 == " " || $0 == "\n" }
        let last = try #require(load.last.flatMap { Int32($0) })
        processIDs = (Int32(1)...500).compactMap { offset in
            let file = open(Self.path(last + offset), O_CREAT | O_EXCL | O_WRONLY, 0o600)
            guard file >= 0 else { return nil }
            close(file)
            return last + offset
        }
    }

    func remove() {
        for processID in processIDs { unlink(Self.path(processID)) }
    }
}
