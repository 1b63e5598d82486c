internal import AnalyticsCore
internal import ArgumentParser
internal import Foundation

/// `--key` of the commands that call a running service.
struct KeyOption: ParsableArguments {
    @Option(
        name: .customLong("key"),
        help: "The key to send; by default ANALYTICS_KEY, or the first line of the file that ANALYTICS_KEY_FILE names.")
    var argument: SecretArgument?

    /// The key to send; `nil` for none. No error shows it.
    func key() async throws -> String? {
        guard let text = argument?.text else { return try await SettingsReader.standard().value(SettingCatalogue.key) }
        guard APIKey(text) != nil else { throw CommandFailure("--key is not allowed: \(SettingCatalogue.key.allowed)") }
        return text
    }
}

/// A secret on the command line. Every user of the machine can read the arguments of a process (proc(5), `/proc/PID/cmdline`), so it is
/// overwritten there as soon as it is read.
struct SecretArgument: ExpressibleByArgument {
    let text: String

    init?(argument: String) {
        text = argument
        ProcessArguments.overwrite(argument)
    }
}

enum ProcessArguments {
    /// Replaces each occurrence of a text in the arguments of this process, as `ps` shows them.
    static func overwrite(_ secret: String) {
        guard !secret.isEmpty, let memory else { return }
        let secret = Array(secret.utf8)
        var index = 0
        while index + secret.count <= memory.count {
            if memory[index..<index + secret.count].elementsEqual(secret) {
                for place in index..<index + secret.count { memory[place] = UInt8(ascii: "x") }
            }
            index += 1
        }
    }

    /// The arguments themselves, and no copy: `arg_start` and `arg_end`, the fields 48 and 49 of `/proc/self/stat`. The second field is the
    /// name in brackets, which may contain spaces; the third follows it.
    private static var memory: UnsafeMutableRawBufferPointer? {
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let fields = stat.cutUTF8(atLast: ")")?.after.splitUTF8(" "), fields.count > 46, let start = UInt(fields[45]),
            let end = UInt(fields[46]), start < end
        else { return nil }
        return UnsafeMutableRawPointer(bitPattern: start).map { UnsafeMutableRawBufferPointer(start: $0, count: Int(end - start)) }
    }
}
