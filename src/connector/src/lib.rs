//! MySQL and load-generator sources and their envelopes; implements sql::Upstream.
