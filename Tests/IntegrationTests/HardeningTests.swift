import Foundation
import Testing

/// How the executable and the C and C++ in it are compiled and linked (Package.swift).
struct HardeningTests {
    @Test("The executable is position-independent, binds all symbols at its start, and write-protects their table")
    func executableIsLinkedHardened() throws {
        let header = try Self.readelf("-h")
        let sections = try Self.readelf("-l")
        let dynamic = try Self.readelf("-d")
        #expect(header.contains("DYN "))
        #expect(sections.contains("GNU_RELRO"))
        #expect(dynamic.contains("BIND_NOW") || dynamic.contains("NOW"), "\(dynamic)")
    }

    @Test("C and C++ check the stack before they return", arguments: ["CSimdJSON", "CMongoShims", "CRabbitMQTLS"])
    func shimsProtectTheStack(target: String) throws {
        let folder = ServiceProcess.executable.deletingLastPathComponent().appending(path: "\(target).build")
        let objects = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "o" }
        #expect(!objects.isEmpty)
        #expect(try objects.contains { try Self.readelf("--syms", of: $0).contains("__stack_chk_fail") })
    }

    private static func readelf(_ option: String, of file: URL = ServiceProcess.executable) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["readelf", "-W", option, file.path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: bytes, as: UTF8.self)
    }
}
