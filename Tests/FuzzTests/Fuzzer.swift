import Foundation
import TestSupport
import Testing

/// Feeds a decoder with mutations of a corpus, the same for the same seed.
///
/// `FUZZ_INPUTS` says how many inputs (25,000), `FUZZ_SEED` the seed (1); both are printed. The corpus is `Tests/Fuzz/corpus/<name>`. What a
/// decoder was given last is in `.build/fuzz/<name>.input`, also after a trap: an input that was found to be wrong goes into the corpus.
struct Fuzzer {
    static let inputs = setting("FUZZ_INPUTS") ?? 25_000
    static let seed = setting("FUZZ_SEED") ?? 1

    private let name: String
    private let corpus: [[UInt8]]
    private let lastInput: LastInput

    /// - Parameter corpus: In place of the files.
    init(_ name: String, corpus own: [[UInt8]]? = nil) throws {
        self.name = name
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let folder = tests.appendingPathComponent("Fuzz/corpus/\(name)")
        corpus =
            try own
            ?? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .sorted { $0.lastPathComponent < $1.lastPathComponent }.map { Array(try Data(contentsOf: $0)) }
        try #require(!corpus.isEmpty, "\(folder.path) is empty")
        lastInput = try LastInput(tests.deletingLastPathComponent().appendingPathComponent(".build/fuzz/\(name).input"))
    }

    /// Calls `decode` with the corpus as it is, then with mutations of it. `decode` says whether the input was one, and throws what is
    /// wrong with it.
    func run(_ decode: ([UInt8]) throws -> Bool) throws {
        print("fuzzing \(name): FUZZ_INPUTS=\(Self.inputs) FUZZ_SEED=\(Self.seed)")
        var mutator = Mutator(corpus: corpus, seed: UInt64(Self.seed))
        let start = ContinuousClock.now
        var decoded = 0
        for number in 0..<max(Self.inputs, corpus.count) {
            let input = number < corpus.count ? corpus[number] : mutator.next()
            lastInput.keep(input)
            do {
                if try decode(input) { decoded += 1 }
            } catch {
                Issue.record("\(name), input \(number) of seed \(Self.seed): \(error); it is in \(lastInput.path)")
                return
            }
        }
        print("fuzzing \(name): \(decoded) of \(Self.inputs) were decoded, \(ContinuousClock.now - start)")
        // Else it is the mutations that are tested, and not what follows a decoder.
        #expect(decoded > Self.inputs / 50)
    }

    private static func setting(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }
}

/// What a decoder has made of an input that it must not make.
struct Wrong: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }

    static func unless(_ condition: Bool, _ description: @autoclosure () -> String) throws {
        if !condition { throw Wrong(description()) }
    }
}

/// A file that holds the input under way, written through shared memory: it is there after a trap, and costs no system call.
private final class LastInput {
    let path: String
    private let memory: UnsafeMutableRawPointer
    private static let size = 1 << 20

    init(_ url: URL) throws {
        path = url.path
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o644)
        defer { close(descriptor) }
        guard descriptor >= 0, ftruncate(descriptor, Self.size) == 0,
            let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
        else { throw Wrong("\(path) cannot be written") }
        self.memory = memory
    }

    /// The length in front, as eight bytes.
    func keep(_ input: [UInt8]) {
        let count = min(input.count, Self.size - 8)
        memory.storeBytes(of: UInt64(count), as: UInt64.self)
        input.withUnsafeBytes { (memory + 8).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: count) }
    }

    deinit {
        munmap(memory, Self.size)
        // Only what is being tried, or was when the process ended.
        _ = truncate(path, 0)
    }
}
