internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

/// `grpc.reflection.v1.ServerReflection`: the descriptors of protos/, for tools without a copy of them.
struct ReflectionService: Grpc_Reflection_V1_ServerReflection.ServiceProtocol {
    private let services: [String]
    /// Files by name.
    private let files: [String: Google_Protobuf_FileDescriptorProto]
    /// Names of files, by the symbol that they define.
    private let symbols: [String: String]

    init(services: [String]) throws {
        let bytes = [UInt8](Data(base64Encoded: ProtoDescriptors.base64) ?? Data())
        let set = try Google_Protobuf_FileDescriptorSet(serializedBytes: bytes)
        self.services = services
        files = Dictionary(set.file.map { ($0.name, $0) }) { first, _ in first }
        symbols = Dictionary(set.file.flatMap { file in Self.names(file).map { ($0, file.name) } }) { first, _ in first }
    }

    func serverReflectionInfo(
        request: StreamingServerRequest<Grpc_Reflection_V1_ServerReflectionRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Grpc_Reflection_V1_ServerReflectionResponse> {
        StreamingServerResponse { writer in
            for try await question in request.messages { try await writer.write(answer(question)) }
            return [:]
        }
    }

    func answer(_ question: Grpc_Reflection_V1_ServerReflectionRequest) -> Grpc_Reflection_V1_ServerReflectionResponse {
        var response = Grpc_Reflection_V1_ServerReflectionResponse()
        response.validHost = question.host
        response.originalRequest = question
        switch question.messageRequest {
        case .listServices:
            response.listServicesResponse.service = services.map { name in
                var service = Grpc_Reflection_V1_ServiceResponse()
                service.name = name
                return service
            }
        case .fileByFilename(let name): response.set(files[name].map(withImports))
        case .fileContainingSymbol(let name): response.set(symbols[name].flatMap { files[$0] }.map(withImports))
        // There are no extensions.
        case .fileContainingExtension, .allExtensionNumbersOfType: response.set(nil)
        case nil: response.fail(.invalidArgument, "The request asks for nothing.")
        }
        return response
    }

    /// The file, then everything that it imports.
    private func withImports(_ file: Google_Protobuf_FileDescriptorProto) -> [Google_Protobuf_FileDescriptorProto] {
        var found = [file]
        var index = 0
        while index < found.count {
            for name in found[index].dependency where !found.contains(where: { $0.name == name }) {
                if let file = files[name] { found.append(file) }
            }
            index += 1
        }
        return found
    }

    /// The names of its services, methods, messages and enums.
    private static func names(_ file: Google_Protobuf_FileDescriptorProto) -> [String] {
        func names(_ message: Google_Protobuf_DescriptorProto, in scope: String) -> [String] {
            let name = "\(scope).\(message.name)"
            return [name] + message.nestedType.flatMap { names($0, in: name) } + message.enumType.map { "\(name).\($0.name)" }
        }
        let scope = file.package
        return file.messageType.flatMap { names($0, in: scope) } + file.enumType.map { "\(scope).\($0.name)" }
            + file.service.flatMap { service in
                ["\(scope).\(service.name)"] + service.method.map { "\(scope).\(service.name).\($0.name)" }
            }
    }
}

extension Grpc_Reflection_V1_ServerReflectionResponse {
    fileprivate mutating func set(_ files: [Google_Protobuf_FileDescriptorProto]?) {
        guard let files else { return fail(.notFound, "Nothing of this name is described here.") }
        fileDescriptorResponse.fileDescriptorProto = files.compactMap { try? $0.serializedBytes() }
    }

    fileprivate mutating func fail(_ code: RPCError.Code, _ message: String) {
        errorResponse.errorCode = Int32(code.rawValue)
        errorResponse.errorMessage = message
    }
}
