internal import Crypto
internal import CryptoExtras
internal import Dispatch
internal import Synchronization

/// Hashes with scrypt (RFC 7914).
public final class ScryptHasher: PasswordHasher {
    private let parameters: PasswordHash.Parameters
    /// Those that are free. Not the cooperative pool: everything else would wait for its threads.
    private let queues = Mutex((1...2).map { DispatchQueue(label: "password-\($0)") })

    public convenience init() {
        self.init(PasswordHash.current)
    }

    init(_ parameters: PasswordHash.Parameters) {
        self.parameters = parameters
    }

    public func hash(_ password: String) async throws(HasherBusy) -> PasswordHash {
        try await run { [parameters] in
            let salt = (0..<PasswordHash.saltBytes).map { _ in UInt8.random(in: 0...255) }
            let key = try Self.key(password, salt, parameters, byteCount: PasswordHash.hashBytes)
            return PasswordHash(parameters, salt: salt, hash: key.withUnsafeBytes { Array($0) })
        }
    }

    public func verify(_ password: String, _ hash: PasswordHash) async throws(HasherBusy) -> Bool {
        // Symmetric keys are compared in constant time.
        try await run {
            try Self.key(password, hash.salt, hash.parameters, byteCount: hash.hash.count) == SymmetricKey(data: hash.hash)
        }
    }

    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws(HasherBusy) -> Value {
        guard let queue = queues.withLock({ $0.popLast() }) else { throw HasherBusy() }
        defer { queues.withLock { $0.append(queue) } }
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, any Error>, Never>) in
            queue.async { continuation.resume(returning: Result { try body() }) }
        }
        // With parameters in bounds it fails only without memory.
        guard case .success(let value) = result else { throw HasherBusy() }
        return value
    }

    private static func key(
        _ password: String, _ salt: [UInt8], _ parameters: PasswordHash.Parameters, byteCount: Int
    ) throws -> SymmetricKey {
        // The library takes no empty password. HMAC pads with zeros, so this one has the same hash (RFC 2104).
        let password = password.isEmpty ? [0] : Array(password.utf8)
        return try KDF.Scrypt.deriveKey(
            from: password, salt: salt, outputByteCount: byteCount, rounds: 1 << parameters.logN, blockSize: parameters.blockSize,
            parallelism: parameters.parallelism)
    }
}
