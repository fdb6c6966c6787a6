package githubapp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// GitHub takes no signature that is to hold for more than ten minutes. It begins
// early and ends early, as clocks differ.
const (
	early = time.Minute
	holds = 8 * time.Minute
)

// sign makes the JSON Web Token (RFC 7519) by which GitHub knows an App.
func sign(key *rsa.PrivateKey, id string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"iss": id, "iat": now.Add(-early).Unix(), "exp": now.Add(holds).Unix()})
	if err != nil {
		return "", err
	}
	code := base64.RawURLEncoding.EncodeToString
	text := code([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + code(claims)
	sum := sha256.Sum256([]byte(text))
	mark, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign for the App: %w", err)
	}
	return text + "." + code(mark), nil
}

// readKey reads PEM of either form.
func readKey(text string) (*rsa.PrivateKey, error) {
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, `\n`, "\n") // as it is written in one line
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	any8, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is neither PKCS#1 nor PKCS#8")
	}
	key, ok := any8.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is not RSA")
	}
	return key, nil
}
