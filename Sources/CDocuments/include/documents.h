#pragma once
#include <stddef.h>

// Documents that are part of the binary.
//
// `#embed` (C23, clang 19) costs half a second for 400 KB; SwiftPM's `.embedInCode`, a Swift array literal, costs a minute for 200 KB.

typedef struct {
    const unsigned char *bytes;
    size_t count;
} cdocument;

// The OpenAPI description. Its version reads 0.0.0.
cdocument cdocument_openapi(void);

// The readable page of it.
cdocument cdocument_page(void);
