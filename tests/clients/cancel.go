// A program of an integrator with the generated Go client: one cancellation, from the order to the settlement.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"refunds"
)

const order = "A-go"

// checked ends the program with the service's own words unless a call succeeded.
func checked(response *http.Response, err error) {
	if err != nil {
		words := []byte{}
		if response != nil {
			words, _ = io.ReadAll(response.Body)
		}
		log.Fatalf("%v %s", err, words)
	}
}

func main() {
	configuration := refunds.NewConfiguration()
	configuration.Servers = refunds.ServerConfigurations{{URL: os.Args[1]}}
	client := refunds.NewAPIClient(configuration)
	caller := context.WithValue(context.Background(), refunds.ContextAccessToken, os.Args[2])
	billing := "R-1"

	provided := time.Now()
	facts := refunds.NewOrderRequest("C-1", *refunds.NewNullableTime(&provided))
	facts.SetRegion("DE-BY")
	registered, response, err := client.OrdersAPI.RegisterOrder(caller, order).OrderRequest(*facts).Execute()
	checked(response, err)
	decision, response, err := client.OrdersAPI.GetOrderEligibility(caller, order).Execute()
	checked(response, err)

	wish := refunds.NewCancellationRequest()
	wish.SetOrderId(order)
	wish.SetContact(*refunds.NewInlineContact("phone"))
	issued, response, err := client.CancellationsAPI.IssueCancellation(caller).
		IdempotencyKey("cancel-A-go").CancellationRequest(*wish).Execute()
	checked(response, err)
	read, response, err := client.CancellationsAPI.GetCancellation(caller, issued.CancellationId).Execute()
	checked(response, err)

	refund := refunds.NewRefundRequest()
	refund.SetBillingRef(billing)
	begun, response, err := client.SettlementsAPI.BeginRefund(caller, issued.CancellationId).
		RefundRequest(*refund).Execute()
	checked(response, err)
	settled, response, err := client.SettlementsAPI.SettleCancellation(caller, issued.CancellationId).
		SettlementRequest(*refunds.NewSettlementRequest(billing)).Execute()
	checked(response, err)

	// The service may add fields to its answers.
	raw, err := json.Marshal(issued)
	checked(nil, err)
	raw = bytes.Replace(raw, []byte("{"), []byte(`{"added_later": 1, `), 1)
	checked(nil, json.Unmarshal(raw, &refunds.Cancellation{}))

	feed, response, err := client.EventsAPI.ListEvents(caller).Execute()
	checked(response, err)
	events := []string{}
	for _, item := range feed.Items {
		event := item.GetActualInstance().(interface {
			GetType() string
			GetOrderId() string
		})
		if event.GetOrderId() == order {
			events = append(events, event.GetType())
		}
	}

	answers := map[string]interface{}{
		"order": registered, "decision": decision, "issued": issued, "read": read, "begun": begun, "settled": settled,
		"events": events,
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}
