import Foundation

/// Where the real services of the tests are; `make test` starts them and says so in the environment.
struct TestServices {
    var mongoURI: String
    var rabbitURL: String
    var redisHost: String
    var redisPort: String
    var prometheusURL: String

    static let current: TestServices? = {
        let environment = ProcessInfo.processInfo.environment
        guard let mongo = environment["TEST_MONGODB_URI"], let rabbit = environment["TEST_RABBITMQ_URL"],
            let host = environment["TEST_REDIS_HOST"], let port = environment["TEST_REDIS_PORT"],
            let prometheus = environment["TEST_PROMETHEUS_URL"]
        else { return nil }
        return TestServices(mongoURI: mongo, rabbitURL: rabbit, redisHost: host, redisPort: port, prometheusURL: prometheus)
    }()

    static var areThere: Bool { current != nil }
}

/// The backends that a service under test runs on, fresh for each test.
struct TestBackends: Sendable {
    var environment: [String: String]
    let directory: URL

    /// SQLite and memory in a folder of its own.
    static func embedded() throws -> TestBackends {
        let directory = FileManager.default.temporaryDirectory.appending(path: "analytics-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        return TestBackends(environment: ["DATA_DIR": directory.path], directory: directory)
    }

    /// A database and a virtual host of its own on the real services.
    static func real() async throws -> TestBackends {
        let services = TestServices.current!
        var backends = try embedded()
        let name = "test_\(UUID().uuidString.prefix(8).lowercased())"
        let vhost = try await RabbitAdministration.addVirtualHost(name, services: services)
        var mongo = URLComponents(string: services.mongoURI)!
        mongo.path = "/" + name
        backends.environment.merge([
            "MONGODB_URI": mongo.string!, "RABBITMQ_URL": vhost, "REDIS_HOST": services.redisHost, "REDIS_PORT": services.redisPort,
        ]) { $1 }
        return backends
    }
}

/// RabbitMQ's own command-line tool, through the stack's script: gives each test a virtual host.
enum RabbitAdministration {
    static func addVirtualHost(_ name: String, services: TestServices) async throws -> String {
        guard let script = ProcessInfo.processInfo.environment["TEST_STACK_SCRIPT"] else { return services.rabbitURL }
        for arguments in [["add_vhost", name], ["set_permissions", "-p", name, "guest", ".*", ".*", ".*"]] {
            let result = try await Command.run(script, ["rabbitmqctl"] + arguments)
            guard result.status == 0 else { throw CommandFailed(description: result.output + result.errors) }
        }
        var url = URLComponents(string: services.rabbitURL)!
        url.path = "/" + name
        return url.string!
    }
}

struct CommandFailed: Error, CustomStringConvertible {
    var description: String
}
