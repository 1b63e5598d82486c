#include "documents.h"

static const unsigned char openapi[] = {
#embed "openapi.json"
};

static const unsigned char page[] = {
#embed "docs.html"
};

cdocument cdocument_openapi(void) {
    return (cdocument){openapi, sizeof openapi};
}

cdocument cdocument_page(void) {
    return (cdocument){page, sizeof page};
}
