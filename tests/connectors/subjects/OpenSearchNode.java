import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/** One node of OpenSearch on loopback, from its jars: arguments are its folder, its HTTP port and its own port. */
public final class OpenSearchNode extends Node {
    private OpenSearchNode(Environment environment, Collection<Class<? extends Plugin>> plugins) {
        super(environment, plugins, false);
    }

    public static void main(String[] arguments) throws Exception {
        Settings settings = Settings.builder()
            .put("path.home", arguments[0])
            .put("http.port", arguments[1])
            .put("transport.port", arguments[2])
            .put("network.host", "127.0.0.1")
            .put("discovery.type", "single-node")
            .put("node.store.allow_mmap", false)
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .put("cluster.name", "shop")
            .put("node.name", "one")
            .put("transport.type", "netty4")
            .put("http.type", "netty4")
            .build();
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings, Collections.emptyMap(), null, () -> "one");
        new OpenSearchNode(environment,
            Arrays.asList(Netty4Plugin.class, PainlessPlugin.class, CommonAnalysisPlugin.class)).start();
        Thread.currentThread().join();
    }
}
