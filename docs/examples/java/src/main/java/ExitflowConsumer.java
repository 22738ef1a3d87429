import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A consumer of exitflow's events in Java: it verifies, remembers, notices gaps and sets aside what it cannot use.
 *
 * <pre>
 * KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 TOPIC=exits.intents.v1 KEYS=exit-keys.pem LEDGER=ledger.jsonl \
 * DEAD_LETTERS=my-team.dlq mvn -q compile exec:java -Dexec.mainClass=ExitflowConsumer
 * </pre>
 *
 * It ends with status 3 at a gap. Everything before the gap has its effect, nothing behind it.
 */
public final class ExitflowConsumer {
    private static final List<String> SIGNED =
            List.of("ce_sequence", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time");
    private static final String DISCARDED = "io.exitflow.Discarded.v1";
    private static final int GAP_STATUS = 3;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** An event is missing before this one; do not go on. */
    static final class GapFound extends Exception {
        GapFound(String message) {
            super(message);
        }
    }

    /** The record is forged or cannot be read. */
    static final class NotUsable extends Exception {
        NotUsable(String message) {
            super(message);
        }
    }

    /** Public keys that sign the events of a topic, by their id. */
    static final class TrustedKeys {
        private static final Pattern BLOCK =
                Pattern.compile("-----BEGIN PUBLIC KEY-----([^-]+)-----END PUBLIC KEY-----");
        private static final Pattern FORM =
                Pattern.compile("([0-9a-f]{16})(?:/([0-9]{1,2}))?:([A-Za-z0-9+/]+={0,2})");
        private static final int RAW_BYTES = 32;
        private static final int SIGNATURE_BYTES = 64;
        private static final int DIGEST_BYTES = 32;
        private final Map<String, PublicKey> byId = new HashMap<>();

        TrustedKeys(String pem) throws GeneralSecurityException {
            var blocks = BLOCK.matcher(pem);
            while (blocks.find()) {
                byte[] der = Base64.getMimeDecoder().decode(blocks.group(1));
                byte[] raw = Arrays.copyOfRange(der, der.length - RAW_BYTES, der.length);
                String digest = HexFormat.of().formatHex(sha256(raw));
                byId.put(digest.substring(0, 16),
                        KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(der)));
            }
        }

        void check(String topic, byte[] key, Map<String, byte[]> headers, byte[] value) throws NotUsable {
            Matcher form = FORM.matcher(text(headers, "ce_signature"));
            if (form.matches()) {
                try {
                    var bytes = new ByteArrayOutputStream();
                    var out = new DataOutputStream(bytes);
                    out.writeBytes("io.exitflow.event.v1");
                    append(out, topic.getBytes(StandardCharsets.UTF_8));
                    append(out, key);
                    for (String name : SIGNED) {
                        append(out, headers.getOrDefault(name, new byte[0]));
                    }
                    append(out, value);
                    byte[] told = Base64.getDecoder().decode(form.group(3));
                    if (form.group(2) == null
                            ? verifies(form.group(1), bytes.toByteArray(), told)
                            : verifiesGroup(form.group(1), bytes.toByteArray(), Integer.parseInt(form.group(2)), told)) {
                        return;
                    }
                } catch (GeneralSecurityException | IllegalArgumentException | IOException error) {
                    // An unknown key, or no signature at all.
                }
            }
            throw new NotUsable("the signature does not verify");
        }

        private boolean verifies(String keyId, byte[] bytes, byte[] told) throws GeneralSecurityException {
            Signature signature = Signature.getInstance("Ed25519");
            signature.initVerify(byId.get(keyId));
            signature.update(bytes);
            return signature.verify(told);
        }

        /** Verify the root of the hash tree with this event at `index`; its path follows the signature. */
        private boolean verifiesGroup(String keyId, byte[] event, int index, byte[] told)
                throws GeneralSecurityException {
            int height = (told.length - SIGNATURE_BYTES) / DIGEST_BYTES;
            if (told.length != SIGNATURE_BYTES + height * DIGEST_BYTES || height < 1 || height > 4
                    || index >= 1 << height) {
                return false;
            }
            byte[] digest = sha256(new byte[] {0}, event);
            for (int start = SIGNATURE_BYTES; start < told.length; start += DIGEST_BYTES) {
                byte[] beside = Arrays.copyOfRange(told, start, start + DIGEST_BYTES);
                digest = index % 2 == 1
                        ? sha256(new byte[] {1}, beside, digest)
                        : sha256(new byte[] {1}, digest, beside);
                index /= 2;
            }
            byte[] domain = "io.exitflow.event-group.v1".getBytes(StandardCharsets.US_ASCII);
            byte[] root = Arrays.copyOf(domain, domain.length + DIGEST_BYTES);
            System.arraycopy(digest, 0, root, domain.length, DIGEST_BYTES);
            return verifies(keyId, root, Arrays.copyOf(told, SIGNATURE_BYTES));
        }

        private static byte[] sha256(byte[]... parts) throws GeneralSecurityException {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (byte[] part : parts) {
                digest.update(part);
            }
            return digest.digest();
        }

        private static void append(DataOutputStream out, byte[] part) throws IOException {
            out.writeInt(part.length);
            out.write(part);
        }
    }

    /**
     * Inbox, sequences and effects in one file. One line is one transaction: it is written whole or not at all. With a
     * database, write the same three things in one transaction instead.
     */
    static final class Ledger implements AutoCloseable {
        private final FileChannel file;
        final Set<String> seen = new HashSet<>();
        final Map<String, Long> last = new HashMap<>();

        Ledger(Path path) throws IOException {
            file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            byte[] bytes = Files.readAllBytes(path);
            int whole = bytes.length;
            while (whole > 0 && bytes[whole - 1] != '\n') {
                whole--; // a line that a crash cut off
            }
            file.truncate(whole).position(whole);
            for (String line : new String(bytes, 0, whole, StandardCharsets.UTF_8).split("\n")) {
                if (!line.isEmpty()) {
                    remember(JSON.readTree(line));
                }
            }
        }

        void write(ObjectNode line) throws IOException {
            ByteBuffer bytes = ByteBuffer.wrap((JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                file.write(bytes);
            }
            file.force(false);
            remember(line);
        }

        private void remember(JsonNode line) {
            seen.add(line.get("event_id").asText());
            last.put(line.get("key").asText(), line.get("sequence").asLong());
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }

    private final String topic;
    private final TrustedKeys keys;
    private final Ledger ledger;

    ExitflowConsumer(String topic, TrustedKeys keys, Ledger ledger) {
        this.topic = topic;
        this.keys = keys;
        this.ledger = ledger;
    }

    /** Take the next record of a partition; return whether it had an effect. */
    boolean take(byte[] keyBytes, Map<String, byte[]> headers, byte[] value) throws NotUsable, GapFound, IOException {
        keys.check(topic, keyBytes, headers, value);
        String eventId = text(headers, "ce_id");
        if (ledger.seen.contains(eventId)) {
            return false;
        }
        ObjectNode line = line(keyBytes, headers);
        String type = text(headers, "ce_type");
        // A Discarded event takes the place and the id of one that has no effect. Unknown types count as well.
        JsonNode effect = type.equals(DISCARDED) ? null : apply(type, read(value));
        ledger.write(line.set("effect", effect));
        return effect != null;
    }

    /** Count a record that was set aside, if it is genuine: the next event of its key would look like a gap. */
    void passOver(byte[] keyBytes, Map<String, byte[]> headers, byte[] value) throws GapFound, IOException {
        try {
            keys.check(topic, keyBytes, headers, value);
        } catch (NotUsable forged) {
            return;
        }
        ledger.write(line(keyBytes, headers).putNull("effect"));
    }

    private ObjectNode line(byte[] keyBytes, Map<String, byte[]> headers) throws GapFound {
        String key = new String(keyBytes, StandardCharsets.UTF_8);
        long sequence = Long.parseLong(text(headers, "ce_sequence"));
        Long last = ledger.last.get(key);
        if (last != null && sequence != last + 1) {
            throw new GapFound(topic + " " + key + ": " + last + " is followed by " + sequence);
        }
        ObjectNode line = JSON.createObjectNode().put("event_id", text(headers, "ce_id")).put("key", key);
        return line.put("sequence", sequence).put("type", text(headers, "ce_type"));
    }

    /** Your own work: what an event means to you; null for nothing. This one keeps what was filled. */
    static JsonNode apply(String type, JsonNode event) {
        if (!type.equals("io.exitflow.ExitIntentFilled.v1")) {
            return null;
        }
        ObjectNode effect = JSON.createObjectNode();
        for (String field : List.of("trade_id", "filled_quantity", "average_price")) {
            effect.set(field, event.get(field));
        }
        return effect;
    }

    private static JsonNode read(byte[] value) throws NotUsable, IOException {
        try {
            return JSON.readTree(value);
        } catch (JsonProcessingException error) {
            throw new NotUsable("not JSON");
        }
    }

    private static String text(Map<String, byte[]> headers, String name) {
        return new String(headers.getOrDefault(name, new byte[0]), StandardCharsets.UTF_8);
    }

    private static Map<String, byte[]> lastOfEach(Headers headers) {
        Map<String, byte[]> found = new HashMap<>();
        for (Header header : headers) {
            found.put(header.key(), header.value() == null ? new byte[0] : header.value());
        }
        return found;
    }

    private static byte[] orEmpty(byte[] bytes) {
        return bytes == null ? new byte[0] : bytes;
    }

    private static void setAside(KafkaProducer<byte[], byte[]> producer, String deadLetters,
            ConsumerRecord<byte[], byte[]> record, String reason) throws InterruptedException, ExecutionException {
        var letter = new ProducerRecord<>(deadLetters, null, record.key(), record.value(), record.headers());
        Map<String, String> place = Map.of("dlq_topic", record.topic(), "dlq_partition", "" + record.partition(),
                "dlq_offset", "" + record.offset(), "dlq_reason", reason);
        place.forEach((name, told) -> letter.headers().add(name, told.getBytes(StandardCharsets.UTF_8)));
        producer.send(letter).get(); // the record may be passed over only once Kafka has it
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> env = System.getenv();
        Map<String, Object> servers = Map.of("bootstrap.servers", env.get("KAFKA_BOOTSTRAP_SERVERS"));
        Map<String, Object> reading = new HashMap<>(servers);
        reading.putAll(Map.of("group.id", env.getOrDefault("GROUP", "my-team"), "auto.offset.reset", "earliest",
                "enable.auto.commit", false, "session.timeout.ms", 6000));
        String topic = env.get("TOPIC");
        var keys = new TrustedKeys(Files.readString(Path.of(env.get("KEYS"))));
        var bytesIn = new ByteArrayDeserializer();
        var bytesOut = new ByteArraySerializer();
        try (var ledger = new Ledger(Path.of(env.get("LEDGER")));
                var reader = new KafkaConsumer<>(reading, bytesIn, bytesIn);
                var producer = new KafkaProducer<>(servers, bytesOut, bytesOut)) {
            var consumer = new ExitflowConsumer(topic, keys, ledger);
            reader.subscribe(List.of(topic));
            while (true) {
                for (var record : reader.poll(Duration.ofMillis(500))) {
                    byte[] key = orEmpty(record.key());
                    byte[] value = orEmpty(record.value());
                    Map<String, byte[]> headers = lastOfEach(record.headers());
                    try {
                        consumer.take(key, headers, value);
                    } catch (NotUsable error) {
                        setAside(producer, env.get("DEAD_LETTERS"), record, error.getMessage());
                        consumer.passOver(key, headers, value);
                    }
                }
                reader.commitSync();
            }
        } catch (GapFound gap) {
            System.err.println("gap: " + gap.getMessage());
            System.exit(GAP_STATUS);
        }
    }
}
