//! Secrets at rest: ChaCha20-Poly1305 (RFC 8439) under a key of 256 bits from a file in the data directory (mode 0600, made at the
//! first start) or from `HEADWATER_SECRET_KEY` (64 hexadecimal digits). A secret's id is authenticated with it, so that one cannot be
//! put in another's place.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::CatalogError;
use crate::proto;

/// The environment variable that may hold the key.
pub const KEY_VARIABLE: &str = "HEADWATER_SECRET_KEY";

const KEY_FILE: &str = "secret.key";
const KEY_BYTES: usize = 32;

/// Encrypts and decrypts secrets. Does not print.
pub struct SecretBox(LessSafeKey);

impl std::fmt::Debug for SecretBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretBox")
    }
}

impl SecretBox {
    /// The key from the environment or the data directory; makes one if there is none.
    pub fn open(data_dir: &Path) -> Result<SecretBox, CatalogError> {
        let key = match std::env::var(KEY_VARIABLE) {
            Ok(text) => decode(&text)?,
            Err(_) => Self::key_file(&data_dir.join(KEY_FILE))?,
        };
        Self::from_key(&key)
    }

    pub(crate) fn from_key(key: &[u8]) -> Result<SecretBox, CatalogError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key);
        let key = key.map_err(|_| CatalogError::SecretKey("it must have 256 bits".into()))?;
        Ok(SecretBox(LessSafeKey::new(key)))
    }

    fn key_file(path: &Path) -> Result<Vec<u8>, CatalogError> {
        let io = |e: std::io::Error| CatalogError::SecretKey(format!("{}: {e}", path.display()));
        if path.exists() {
            return decode(&std::fs::read_to_string(path).map_err(io)?);
        }
        let mut key = vec![0u8; KEY_BYTES];
        random(&mut key)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        file.write_all(hex::encode(&key).as_bytes()).map_err(io)?;
        file.sync_all().map_err(io)?;
        Ok(key)
    }

    pub(crate) fn seal(&self, id: &str, value: &[u8]) -> Result<proto::Secret, CatalogError> {
        let mut nonce = [0u8; NONCE_LEN];
        random(&mut nonce)?;
        let mut ciphertext = value.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id), &mut ciphertext)
            .map_err(|_| CatalogError::SecretKey("encryption failed".into()))?;
        Ok(proto::Secret { nonce: nonce.to_vec(), ciphertext })
    }

    pub(crate) fn unseal(&self, id: &str, secret: &proto::Secret) -> Result<Vec<u8>, CatalogError> {
        let wrong = || CatalogError::SecretKey(format!("secret {id} cannot be decrypted with this key"));
        let nonce = Nonce::try_assume_unique_for_key(&secret.nonce).map_err(|_| wrong())?;
        let mut buffer = secret.ciphertext.clone();
        let value = self.0.open_in_place(nonce, Aad::from(id), &mut buffer).map_err(|_| wrong())?;
        Ok(value.to_vec())
    }
}

fn decode(text: &str) -> Result<Vec<u8>, CatalogError> {
    let key =
        hex::decode(text.trim()).map_err(|_| CatalogError::SecretKey("it is not hexadecimal".into()))?;
    if key.len() != KEY_BYTES {
        return Err(CatalogError::SecretKey(format!("it must have {} hexadecimal digits", KEY_BYTES * 2)));
    }
    Ok(key)
}

fn random(buffer: &mut [u8]) -> Result<(), CatalogError> {
    SystemRandom::new().fill(buffer).map_err(|_| CatalogError::SecretKey("no randomness".into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_and_id() {
        let dir = tempfile::tempdir().unwrap();
        let boxed = SecretBox::open(dir.path()).unwrap();
        let sealed = boxed.seal("u1", b"hunter2").unwrap();
        assert!(!sealed.ciphertext.windows(7).any(|w| w == b"hunter2"));
        let again = SecretBox::open(dir.path()).unwrap();
        assert_eq!(again.unseal("u1", &sealed).unwrap(), b"hunter2");
        assert!(again.unseal("u2", &sealed).is_err());
        assert!(SecretBox::from_key(&[7; 32]).unwrap().unseal("u1", &sealed).is_err());
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
