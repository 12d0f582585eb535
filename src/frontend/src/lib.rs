//! pgwire and HTTP: codecs, authentication and connection state machines.
