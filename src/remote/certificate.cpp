/*
 * certificate.cpp: TLS for servers that were set up without it.
 *
 * Sessions between nodes want TLS (citus.node_conninfo). A server whose configuration does not
 * mention ssl and has no certificate gets a self-signed one at start, in files of our own in the
 * data directory, made once. An explicit ssl = off is respected. Runs in the postmaster, before it
 * initialises TLS.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "storage/fd.h"
#include "utils/guc.h"
CIVITAS_PG_END

#ifdef USE_OPENSSL
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#endif

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace civitas::remote {

#ifdef USE_OPENSSL

namespace {

constexpr const char *CERTIFICATE_FILE = "citus_server.crt";
constexpr const char *KEY_FILE = "citus_server.key";
/* As strong as RSA of 3072 bits, at a fraction of a handshake's processor time. */
constexpr const char *KEY_CURVE = "P-256";
constexpr long VALID_SECONDS = 20L * 365 * 24 * 3600;

/* Opens a new file of the data directory for OpenSSL to write to; null on failure. */
BIO *create_file(const char *path, mode_t mode)
{
	unlink(path);
	const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
	if (file < 0)
		return nullptr;
	FILE *stream = fdopen(file, "w");
	if (stream == nullptr)
	{
		::close(file);
		return nullptr;
	}
	return BIO_new_fp(stream, BIO_CLOSE);
}

X509 *make_certificate(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	if (certificate == nullptr)
		return nullptr;

	unsigned char serial[16];
	bool good = RAND_bytes(serial, sizeof(serial)) == 1;
	serial[0] &= 0x7f;
	BIGNUM *number = BN_bin2bn(serial, sizeof(serial), nullptr);
	good = good && number != nullptr &&
		   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
	BN_free(number);

	char host_name[64] = "localhost";
	if (gethostname(host_name, sizeof(host_name) - 1) != 0 || host_name[0] == '\0')
		strlcpy(host_name, "localhost", sizeof(host_name));
	host_name[sizeof(host_name) - 1] = '\0';

	X509_NAME *name = X509_get_subject_name(certificate);
	good = good && X509_set_version(certificate, 2) == 1 &&
		   X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 3600) != nullptr &&
		   X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_SECONDS) != nullptr &&
		   X509_set_pubkey(certificate, key) == 1 &&
		   X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
									  reinterpret_cast<const unsigned char *>(host_name), -1, -1,
									  0) == 1 &&
		   X509_set_issuer_name(certificate, name) == 1 &&
		   X509_sign(certificate, key, EVP_sha256()) > 0;
	if (!good)
	{
		X509_free(certificate);
		return nullptr;
	}
	return certificate;
}

/* Writes key and certificate; false where something failed, with nothing usable left. */
bool write_certificate()
{
	EVP_PKEY *key = EVP_EC_gen(KEY_CURVE);
	X509 *certificate = key != nullptr ? make_certificate(key) : nullptr;
	bool good = certificate != nullptr;
	if (good)
	{
		BIO *file = create_file(KEY_FILE, S_IRUSR | S_IWUSR);
		good = file != nullptr &&
			   PEM_write_bio_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
			   BIO_flush(file) == 1;
		BIO_free(file);
	}
	if (good)
	{
		/* The certificate comes last: its presence says that the pair is complete. */
		BIO *file = create_file(CERTIFICATE_FILE, S_IRUSR | S_IWUSR);
		good =
			file != nullptr && PEM_write_bio_X509(file, certificate) == 1 && BIO_flush(file) == 1;
		BIO_free(file);
		if (!good)
			unlink(CERTIFICATE_FILE);
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	return good;
}

bool file_exists(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0;
}

} // namespace

void certificate_init()
{
	if (IsUnderPostmaster || !IsPostmasterEnvironment ||
		strcmp(GetConfigOption("ssl", false, false), "off") != 0 ||
		pg::setting_source("ssl") != PGC_S_DEFAULT ||
		file_exists(GetConfigOption("ssl_cert_file", false, false)))
		return;
	if ((!file_exists(CERTIFICATE_FILE) || !file_exists(KEY_FILE)) && !write_certificate())
	{
		ereport(WARNING, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						  errmsg("could not create a certificate for connections between nodes"),
						  errhint("Set up ssl by hand, or change citus.node_conninfo.")));
		return;
	}
	/* Below the configuration file in rank: settings that appear there later win. */
	SetConfigOption("ssl_cert_file", CERTIFICATE_FILE, PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
	SetConfigOption("ssl_key_file", KEY_FILE, PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
	SetConfigOption("ssl", "on", PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
}

#else

void certificate_init() {}

#endif

} // namespace civitas::remote
