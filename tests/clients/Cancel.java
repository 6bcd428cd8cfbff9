import com.fasterxml.jackson.databind.JsonNode;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import refunds.ApiClient;
import refunds.ApiException;
import refunds.api.CancellationsApi;
import refunds.api.EventsApi;
import refunds.api.OrdersApi;
import refunds.api.SettlementsApi;
import refunds.model.Cancellation;
import refunds.model.CancellationRequest;
import refunds.model.FeedItem;
import refunds.model.InlineContact;
import refunds.model.OrderRequest;
import refunds.model.RefundRequest;
import refunds.model.SettlementRequest;

/** A program of an integrator with the generated Java client: one cancellation, from the order to the settlement. */
public class Cancel {
    private static final String ORDER = "A-java";

    public static void main(String[] words) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(words[0]);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + words[1]));
        try {
            System.out.println(client.getObjectMapper().writeValueAsString(story(client)));
        } catch (ApiException refused) {
            throw new IllegalStateException(refused.getResponseBody(), refused);
        }
    }

    /** The response to each step. */
    private static Map<String, Object> story(ApiClient client) throws Exception {
        OrdersApi orders = new OrdersApi(client);
        CancellationsApi cancellations = new CancellationsApi(client);
        SettlementsApi settlements = new SettlementsApi(client);
        Map<String, Object> steps = new LinkedHashMap<>();
        OrderRequest facts =
                new OrderRequest().customerRef("C-1").serviceProvidedAt(OffsetDateTime.now()).region("DE-BY");
        steps.put("order", orders.registerOrder(ORDER, facts, null));
        steps.put("decision", orders.getOrderEligibility(ORDER, null, null));
        InlineContact call = new InlineContact().channel(InlineContact.ChannelEnum.PHONE);
        Cancellation issued = cancellations.issueCancellation(
                "cancel-A-java", new CancellationRequest().orderId(ORDER).contact(call));
        String id = issued.getCancellationId();
        steps.put("issued", issued);
        steps.put("read", cancellations.getCancellation(id, null));
        steps.put("begun", settlements.beginRefund(id, new RefundRequest().billingRef("R-1")));
        steps.put("settled", settlements.settleCancellation(id, new SettlementRequest().billingRef("R-1")));
        List<String> events = new ArrayList<>();
        for (FeedItem item : new EventsApi(client).listEvents(null, null, null).getItems()) {
            JsonNode event = client.getObjectMapper().valueToTree(item.getActualInstance());
            if (ORDER.equals(event.get("order_id").asText())) {
                events.add(event.get("type").asText());
            }
        }
        steps.put("events", events);
        return steps;
    }
}
