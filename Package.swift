// swift-tools-version: 6.2

import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

// Code in C and C++ reads bytes of clients: a write past a buffer on the stack ends the process. _FORTIFY_SOURCE needs optimisation.
let hardenedC: [CSetting] = [
    .unsafeFlags(["-fstack-protector-strong"]), .define("_FORTIFY_SOURCE", to: "2", .when(configuration: .release)),
]
let hardenedCXX: [CXXSetting] = [
    .unsafeFlags(["-fstack-protector-strong"]), .define("_FORTIFY_SOURCE", to: "2", .when(configuration: .release)),
]
// All symbols are bound at the start, and their table is read-only from then on.
let hardenedLink: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "-z", "-Xlinker", "relro", "-Xlinker", "-z", "-Xlinker", "now"], .when(platforms: [.linux]))
]

let package = Package(
    name: "analytics",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "analytics", targets: ["analytics"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-algorithms", exact: "1.2.1"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-async-algorithms", exact: "1.1.4"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration", exact: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0", traits: []),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", exact: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", exact: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", exact: "2.4.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", exact: "5.7.1"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
    ],
    targets: [
        // C and C++: a module map or a shim for each library, and one Swift importer.
        .target(
            name: "CSimdJSON",
            cSettings: hardenedC,
            cxxSettings: hardenedCXX,
            linkerSettings: [.linkedLibrary("simdjson")]
        ),
        .target(
            name: "CMongoShims",
            dependencies: ["CSimdJSON", "CMongoC"],
            cSettings: hardenedC,
            cxxSettings: hardenedCXX,
            linkerSettings: [.linkedLibrary("simdjson")]
        ),
        .systemLibrary(name: "CMongoC", pkgConfig: "libbson-1.0", providers: [.apt(["libmongoc-dev"])]),
        .systemLibrary(name: "CRabbitMQ", providers: [.apt(["librabbitmq-dev"])]),
        // Its header has no type of OpenSSL: the packages bring another TLS library with types of the same names.
        .target(
            name: "CRabbitMQTLS",
            cSettings: hardenedC,
            linkerSettings: [.linkedLibrary("rabbitmq"), .linkedLibrary("ssl"), .linkedLibrary("crypto")]
        ),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .target(name: "CMaxMind", cSettings: hardenedC),
        .target(name: "CDocuments", exclude: ["openapi.json", "docs.html"]),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),

        .target(
            name: "AnalyticsJSON",
            dependencies: ["CSimdJSON"],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsCore",
            dependencies: [
                "AnalyticsJSON",
                .product(name: "Algorithms", package: "swift-algorithms"),
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "PrometheusExposition",
            dependencies: [
                .product(name: "CoreMetrics", package: "swift-metrics")
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsEmbedded",
            dependencies: [
                "AnalyticsCore", "AnalyticsJSON",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsRabbitMQ",
            dependencies: [
                "AnalyticsCore", "CRabbitMQ", "CRabbitMQTLS",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsMongoDB",
            dependencies: [
                "AnalyticsCore", "AnalyticsJSON", "CMongoShims",
                .product(name: "Algorithms", package: "swift-algorithms"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsRedis",
            dependencies: [
                "AnalyticsCore", "CHiredis",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "GzipCodec",
            dependencies: ["CZlib"],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsAPI",
            dependencies: [
                "AnalyticsCore", "AnalyticsJSON", "CDocuments", "GzipCodec",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCertificateReloading", package: "swift-nio-extras"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        // The same questions and the same intake over gRPC.
        .target(
            name: "AnalyticsGRPC",
            dependencies: [
                "AnalyticsAPI", "AnalyticsCore", "AnalyticsJSON",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsImport",
            dependencies: [
                "AnalyticsCore", "AnalyticsJSON", "GzipCodec",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AnalyticsOIDC",
            dependencies: [
                "AnalyticsCore",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
        .target(name: "AnalyticsGeoIP", dependencies: ["AnalyticsCore", "CMaxMind"], swiftSettings: strict),
        .executableTarget(
            name: "analytics",
            dependencies: [
                "AnalyticsCore", "AnalyticsJSON", "AnalyticsAPI", "AnalyticsEmbedded", "AnalyticsGRPC", "AnalyticsImport",
                "AnalyticsRabbitMQ", "AnalyticsMongoDB", "AnalyticsGeoIP",
                "AnalyticsOIDC", "AnalyticsRedis", "CMalloc", "PrometheusExposition",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict,
            linkerSettings: hardenedLink
        ),

        // Shared by test targets: in-memory store and broker, faults, a clock, samples.
        .target(
            name: "TestSupport",
            dependencies: ["AnalyticsCore", "AnalyticsJSON", .product(name: "Logging", package: "swift-log")],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        .testTarget(name: "AnalyticsJSONTests", dependencies: ["AnalyticsJSON"], swiftSettings: strict),
        .testTarget(
            name: "AnalyticsCoreTests",
            dependencies: [
                "AnalyticsCore", "AnalyticsJSON", "TestSupport",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AnalyticsImportTests",
            dependencies: ["AnalyticsCore", "AnalyticsImport", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AnalyticsOIDCTests",
            dependencies: [
                "AnalyticsCore", "AnalyticsOIDC", "TestSupport",
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "JWTKit", package: "jwt-kit"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PrometheusExpositionTests",
            dependencies: [
                "PrometheusExposition",
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            swiftSettings: strict
        ),
        // One contract suite per port, run on every adapter.
        .testTarget(
            name: "ContractTests",
            dependencies: [
                "AnalyticsAPI", "AnalyticsCore", "AnalyticsJSON", "AnalyticsEmbedded", "AnalyticsMongoDB", "AnalyticsRabbitMQ",
                "AnalyticsRedis", "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AnalyticsAPITests",
            dependencies: [
                "TestSupport", "AnalyticsAPI", "AnalyticsCore", "AnalyticsJSON", "AnalyticsEmbedded", "GzipCodec",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        // Mutates the input of every decoder. A short run is part of every test run; `make fuzz` is a long one.
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "AnalyticsCore", "AnalyticsJSON", "AnalyticsEmbedded", "AnalyticsMongoDB", "AnalyticsRabbitMQ", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AnalyticsGRPCTests",
            dependencies: [
                "AnalyticsAPI", "AnalyticsCore", "AnalyticsGRPC", "AnalyticsJSON", "TestSupport",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: strict
        ),
        // Parts of the executable: settings, and the output of commands.
        .testTarget(
            name: "AnalyticsTests",
            dependencies: [
                "AnalyticsCore", "AnalyticsGeoIP", "AnalyticsOIDC", "analytics", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        // The built executable with real services.
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "AnalyticsCore",
                "AnalyticsMongoDB",
                "TestSupport",
                "analytics",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOFoundationCompat", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
    ],
    cLanguageStandard: .gnu2x,
    cxxLanguageStandard: .cxx17
)
